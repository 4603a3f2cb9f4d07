"""The application that an ASGI server runs: ``daphne config.asgi:application``."""

import os
from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# Sets up Django: models can be imported after this. Any: URLRouter takes applications where Django takes views.
django_application: Any = get_asgi_application()

from realtime.asgi import RealtimeApplication  # noqa: E402
from realtime.routing import django_pages, http_urlpatterns, unknown_websocket, websocket_urlpatterns  # noqa: E402

application = RealtimeApplication(
    ProtocolTypeRouter(
        {
            "http": URLRouter([*http_urlpatterns, django_pages(django_application)]),
            "websocket": URLRouter([*websocket_urlpatterns, unknown_websocket]),
        }
    )
)
