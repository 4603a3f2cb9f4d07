"""Ends connections whose client does not read the data that was sent to it.

No server does so by itself while the client sends something now and then, or after the server has tried to close:
closing waits for the unsent bytes.
"""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any
from weakref import WeakSet

from ..conf import get_conf
from . import reactor
from .private_objects import Feature, fits
from .transport import transport_of

logger = logging.getLogger("realtime.stalls")


class StalledClients:
    """Aborts connections whose write buffer has not shrunk since the previous check."""

    def __init__(self) -> None:
        # asyncio's transports; the reactor lists Twisted's.
        self._transports: WeakSet[asyncio.WriteTransport] = WeakSet()
        self._unsent: dict[Any, Any] = {}  # by transport, as of the previous check

    def watch(self, send: object) -> None:
        """Include the connection of a uvicorn ``send`` in the checks; ignore those of other servers."""
        transport = transport_of(send)
        if hasattr(transport, "get_write_buffer_size") and type(transport).__weakrefoffset__:
            self._transports.add(transport)

    async def check(self) -> None:
        """Wait until the next check is due, and end the connections that have stalled since the previous one."""
        await asyncio.sleep(get_conf().stall_seconds)
        unsent = dict(self._unsent_now())
        stalled = [transport for transport, state in unsent.items() if self._unsent.get(transport) == state]
        for transport in stalled:
            abort = getattr(transport, "abortConnection", None) or transport.abort
            abort()
        if stalled:
            logger.warning("ended %d connections whose client reads nothing", len(stalled))
        self._unsent = unsent

    def _unsent_now(self) -> Iterator[tuple[Any, Any]]:
        """Yield the transports with unsent bytes, and a value that changes when some of them are sent."""
        if not reactor.is_running():
            if fits(Feature.UVICORN_STALLED):
                yield from _of_asyncio(self._transports)
        elif fits(Feature.DAPHNE_STALLED):
            yield from _of_twisted()


def _of_twisted() -> Iterator[tuple[Any, Any]]:
    from twisted.internet.tcp import Server

    for writer in reactor.loaded_reactor().getWriters():
        if isinstance(writer, Server):
            yield writer, (id(writer.dataBuffer), writer.offset)


def _of_asyncio(transports: WeakSet[asyncio.WriteTransport]) -> Iterator[tuple[Any, Any]]:
    for transport in list(transports):
        size = transport.get_write_buffer_size()
        if size:
            yield transport, size
