"""Backpressure for daphne, whose ``send`` takes whatever it is given and keeps it until somebody reads.

Twisted tells a registered producer when a transport's buffer is full and when it is empty again; daphne registers
none. This does, so that ``send`` waits for a slow reader as it does on other servers.
"""

import asyncio
import sys
from typing import Any


class Buffer:
    """The producer of one connection (Twisted's ``IPushProducer``): ``is_free`` while the transport can take more."""

    def __init__(self) -> None:
        self.is_free = asyncio.Event()
        self.is_free.set()

    def pauseProducing(self) -> None:
        self.is_free.clear()

    def resumeProducing(self) -> None:
        self.is_free.set()

    stopProducing = resumeProducing  # the connection is lost: whoever waits finds out


def is_daphne() -> bool:
    """Whether this process serves by Twisted's reactor."""
    reactor = sys.modules.get("twisted.internet.reactor")
    return reactor is not None and bool(getattr(reactor, "running", False))


def buffered(send) -> Any:
    """Return a ``send`` that waits while the transport's buffer is full; None where that cannot be had.

    daphne's ``send`` is ``functools.partial(…, protocol)``; autobahn's protocol and Twisted's request both
    register producers.
    """
    protocol = next(iter(getattr(send, "args", ())), None)
    if not hasattr(protocol, "registerProducer"):
        return None
    buffer = Buffer()
    protocol.unregisterProducer()  # the HTTP channel that this connection began as
    protocol.registerProducer(buffer, True)

    async def waiting_send(event: dict[str, Any]) -> None:
        if not buffer.is_free.is_set():
            await buffer.is_free.wait()
        if event["type"] == "http.response.body" and not event.get("more_body", False):
            protocol.unregisterProducer()
        await send(event)

    return waiting_send
