"""Backpressure for daphne in both directions; other servers have it by themselves.

Out: daphne's ``send`` returns at once and keeps everything until the client reads it. Twisted notifies a registered
producer when a transport's buffer is full and when it is empty again; daphne registers none, this module does. In:
daphne queues messages without a bound; its guard has to know when the application has received one.
"""

import asyncio
from typing import Any

from ..runtime.asgi_types import Event, Receive, Send
from . import reactor
from .private import Feature, fits
from .transport import protocol_of


class _Buffer:
    """The producer of one connection (Twisted's ``IPushProducer``): ``is_free`` while the transport accepts more."""

    def __init__(self) -> None:
        self.is_free = asyncio.Event()
        self.is_free.set()

    def pauseProducing(self) -> None:
        self.is_free.clear()

    def resumeProducing(self) -> None:
        self.is_free.set()

    stopProducing = resumeProducing  # the connection is lost: a `send` that waits must end


def waiting_send(send: Send) -> Send | None:
    """Return a ``send`` that waits while the transport's buffer is full; None if this server cannot provide it."""
    if not reactor.is_running():
        return send
    protocol = protocol_of(send)
    if not fits(Feature.DAPHNE_BACKPRESSURE) or not hasattr(protocol, "registerProducer"):
        return None
    return _buffered(send, protocol)


def _buffered(send: Send, protocol: Any) -> Send:
    """Return a ``send`` that waits for the buffer of daphne's request or WebSocket."""
    buffer = _Buffer()
    protocol.unregisterProducer()  # the HTTP channel that this connection began as
    protocol.registerProducer(buffer, True)

    async def send_when_free(event: Event) -> None:
        if not buffer.is_free.is_set():
            await buffer.is_free.wait()
        if event["type"] == "http.response.body" and not event.get("more_body", False):
            protocol.unregisterProducer()
        await send(event)

    return send_when_free


def reporting_receive(receive: Receive, send: Send) -> Receive:
    """Return a ``receive`` that reports each message to the guard of a daphne WebSocket; elsewhere the same one."""
    received = getattr(protocol_of(send), "application_received", None)
    if received is None:
        return receive

    async def receive_and_report() -> Event:
        message = await receive()
        received()
        return message

    return receive_and_report
