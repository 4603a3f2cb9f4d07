"""The application every ASGI server runs: ``daphne config.asgi:application``."""

import os

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import re_path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django_application = get_asgi_application()  # sets Django up: models may be imported from here on

from realtime.asgi import RealtimeApplication  # noqa: E402
from realtime.routing import http_urlpatterns, unknown_websocket, websocket_urlpatterns  # noqa: E402

application = RealtimeApplication(
    ProtocolTypeRouter(
        {
            "http": URLRouter([*http_urlpatterns, re_path("", django_application)]),
            "websocket": URLRouter([*websocket_urlpatterns, unknown_websocket]),
        }
    )
)
