"""The addresses that the engine serves itself, without Django; ``realtime.asgi.application`` routes them."""

import logging
from typing import Any

from django import urls

from .access.handshake import Handshake
from .consumers import RealtimeConsumer
from .engine.codes import Code
from .engine.messages import Error
from .runtime.asgi_types import Receive, Scope, Send
from .runtime.refusals import Refused
from .transports.call_endpoint import call
from .transports.health_endpoint import live, ready
from .transports.http import endpoint
from .transports.pages import Pages
from .transports.polling import poll
from .transports.sse import stream
from .transports.ticket_endpoint import ticket

__all__ = [
    "django_pages",
    "http_urlpatterns",
    "other_websockets",
    "unknown_websocket",
    "websocket_urlpatterns",
]

logger = logging.getLogger("realtime.asgi")

# Channels routes ASGI applications by Django's functions, whose types expect views.
path: Any = urls.path
re_path: Any = urls.re_path


async def close_unknown(scope: Scope, receive: Receive, send: Send) -> None:
    """Close a socket whose path has no route; accepted first, since browsers do not report a refused handshake."""
    logger.warning("socket refused: no address %r", scope["path"][:200])
    await receive()
    await send({"type": "websocket.accept"})
    await send(
        {"type": "websocket.close", "code": int(Code.NOT_FOUND), "reason": "no socket at this address"}
    )


@endpoint("GET")
async def expect_upgrade(handshake: Handshake, receive: Receive, send: Send) -> None:
    """Refuse a plain request at the address of the WebSocket: the client, or a proxy, has sent no ``Upgrade``.

    Source: RFC 9110, section 15.5.22.
    """
    why = "this address serves WebSockets, but the request is not for one; a proxy must pass Upgrade and Connection"
    raise Refused([Error(Code.BAD_MESSAGE, why)], 426)


websocket_urlpatterns = [path("realtime/ws/", RealtimeConsumer.as_asgi())]

unknown_websocket = re_path("", close_unknown)
"""The last route for sockets, after those of the project: Channels' router raises ValueError for an unknown path."""


def other_websockets(application: Any) -> Any:
    """Return the last route for sockets, to an application of the project; an address that it does not have is refused.

    Their ``Origin`` is not checked here: a project may allow others, by a validator of Channels around its router.
    """
    return re_path("", application)


def django_pages(application: Any) -> Any:
    """Return the last route for requests, after the engine's: Django's application, which serves a few at once."""
    return re_path("", Pages(application))


http_urlpatterns = [
    path("realtime/ws/", expect_upgrade),
    path("realtime/sse/", stream),
    re_path(r"^realtime/topics/(?P<topic>.+)/$", poll),
    path("realtime/calls/", call),
    path("realtime/ticket/", ticket),
    path("realtime/live/", live),
    path("realtime/ready/", ready),
]
