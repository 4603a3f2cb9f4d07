"""The ASGI application of a project, made by one line of its ``asgi.py``."""

from typing import Any

from .runtime.asgi_types import Application

__all__ = ["application"]


def application(
    django_application: Any, *, websocket: Application | None = None, **protocols: Application
) -> Application:
    """Return the ASGI application for a server: the engine's sockets, streams and polls; Django's for other requests.

    ``application = realtime.asgi.application(get_asgi_application())``. ``websocket`` is called for WebSockets at other
    addresses: a Channels router with consumers of your own, inside its ``AllowedHostsOriginValidator``, because their
    ``Origin`` is not checked otherwise. ``protocols`` are called for scopes of other types, such as ``channel``. With
    ``DEBUG`` static files are served as ``runserver`` serves them.
    """
    # Projects import this module before Django is set up; calling get_asgi_application sets it up.
    from channels.routing import ProtocolTypeRouter, URLRouter
    from django.apps import apps
    from django.conf import settings
    from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler

    from . import routing
    from .transports.application import RealtimeApplication

    if settings.DEBUG and apps.is_installed("django.contrib.staticfiles"):
        django_application = ASGIStaticFilesHandler(django_application)
    _fix_relative_urls()
    sockets = routing.unknown_websocket if websocket is None else routing.other_websockets(websocket)
    return RealtimeApplication(
        ProtocolTypeRouter(
            {
                **protocols,
                "http": URLRouter([*routing.http_urlpatterns, routing.django_pages(django_application)]),
                "websocket": URLRouter([*routing.websocket_urlpatterns, sockets]),
            }
        )
    )


def _fix_relative_urls() -> None:
    """Read a relative ``STATIC_URL`` and ``MEDIA_URL`` under the deployment's script prefix.

    Django prepends the prefix that is set when they are first read, and keeps the result; that could be a request's
    prefix.
    """
    from django.conf import settings
    from django.urls import set_script_prefix

    set_script_prefix(settings.FORCE_SCRIPT_NAME or "/")
    _ = settings.STATIC_URL, settings.MEDIA_URL
