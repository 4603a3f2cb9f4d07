"""Clients that take nothing of what was sent to them, for so long that nobody will: their connections are ended.

No server does so by itself while the client says something now and then, or after its own attempt to close: the
close waits for what is unsent.
"""

import asyncio
import logging
import sys
from collections.abc import Iterator
from typing import Any
from weakref import WeakSet

from ..conf import get_conf
from .backpressure import is_daphne

logger = logging.getLogger("realtime.stalls")


class StalledClients:
    """Looks now and then at who has something unsent, and ends those of whom nothing has moved since the last look."""

    def __init__(self) -> None:
        self._transports: WeakSet[asyncio.WriteTransport] = WeakSet()  # asyncio's; Twisted knows its own
        self._unsent: dict[Any, Any] = {}  # by transport, as of the last look

    def watch(self, send) -> None:
        """Look at a connection too: uvicorn's ``send`` is a method of what holds its transport."""
        transport: Any = getattr(getattr(send, "__self__", None), "transport", None)
        if hasattr(transport, "get_write_buffer_size") and type(transport).__weakrefoffset__:
            self._transports.add(transport)

    async def look(self) -> None:
        """Wait for the next look, and end whoever has stalled since the last one."""
        await asyncio.sleep(get_conf().stall_seconds)
        unsent = dict(_of_twisted() if is_daphne() else _of_asyncio(self._transports))
        stalled = [transport for transport, what in unsent.items() if self._unsent.get(transport) == what]
        for transport in stalled:
            end = getattr(transport, "abortConnection", None) or transport.abort
            end()
        if stalled:
            logger.warning("%d connections ended that took nothing of what was sent", len(stalled))
        self._unsent = unsent


def _of_twisted() -> Iterator[tuple[Any, Any]]:
    """Yield the transports of connections to us that wait to write, and where in its buffer each one is."""
    reactor = sys.modules["twisted.internet.reactor"]
    from twisted.internet.tcp import Server

    for writer in reactor.getWriters():
        if isinstance(writer, Server):
            yield writer, (id(writer.dataBuffer), writer.offset)


def _of_asyncio(transports: WeakSet[asyncio.WriteTransport]) -> Iterator[tuple[Any, Any]]:
    for transport in list(transports):
        size = transport.get_write_buffer_size()
        if size:
            yield transport, size
