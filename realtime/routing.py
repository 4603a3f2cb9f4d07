"""WebSocket addresses; ``config/asgi.py`` routes them."""

from django.urls import path

from .consumers import RealtimeConsumer

websocket_urlpatterns = [path("realtime/ws/", RealtimeConsumer.as_asgi())]
