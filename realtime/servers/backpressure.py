"""Backpressure for daphne in both directions; other servers have it by themselves.

Outbound: daphne's ``send`` returns at once and keeps everything until the client reads it. Twisted notifies a
registered producer when a transport's buffer is full and when it is empty again; daphne registers none, so this module
does. Inbound: daphne queues messages without a bound; its guard must learn when the application has received one.
"""

import asyncio
from typing import Any

from ..runtime.asgi_types import Event, Receive, Send
from . import reactor
from .private_objects import Feature, fits
from .transport import protocol_of


class Buffer:
    """The producer of one connection (Twisted's ``IPushProducer``): ``is_free`` while the transport accepts more."""

    def __init__(self) -> None:
        self.is_free = asyncio.Event()
        self.is_free.set()

    def pauseProducing(self) -> None:
        self.is_free.clear()

    def resumeProducing(self) -> None:
        self.is_free.set()

    stopProducing = resumeProducing  # the connection is lost: a `send` that waits must end


def sends_wait() -> bool:
    """Return whether a ``send`` of this server waits for a client that reads slowly."""
    return not reactor.is_running() or fits(Feature.DAPHNE_BACKPRESSURE)


def waiting_send(send: Send) -> Send | None:
    """Return the ``send`` of a WebSocket that waits while the transport's buffer is full; None if there is none."""
    if not reactor.is_running():
        return send
    protocol = protocol_of(send)
    if not fits(Feature.DAPHNE_BACKPRESSURE) or not hasattr(protocol, "registerProducer"):
        return None
    return _buffered(send, protocol)


def _buffered(send: Send, protocol: Any) -> Send:
    """Return a ``send`` that waits for the buffer of daphne's WebSocket."""
    buffer = Buffer()
    register(buffer, protocol)

    async def send_when_free(event: Event) -> None:
        if not buffer.is_free.is_set():
            await buffer.is_free.wait()
        await send(event)

    return send_when_free


def register(buffer: Buffer, protocol: Any) -> None:
    """Register a buffer as the producer of daphne's request or WebSocket."""
    protocol.unregisterProducer()  # a WebSocket's: the HTTP channel that its connection began as
    protocol.registerProducer(buffer, True)


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
