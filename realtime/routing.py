"""Addresses that are served beside Django; ``config/asgi.py`` routes them."""

from django.urls import path, re_path

from .consumers import RealtimeConsumer
from .transports.call_endpoint import call
from .transports.polling import poll
from .transports.sse import stream
from .transports.ticket_endpoint import ticket

websocket_urlpatterns = [path("realtime/ws/", RealtimeConsumer.as_asgi())]

http_urlpatterns = [
    path("realtime/sse/", stream),
    re_path(r"^realtime/topics/(?P<topic>.+)/$", poll),
    path("realtime/calls/", call),
    path("realtime/ticket/", ticket),
]
