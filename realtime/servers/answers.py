"""Answers to HTTP requests: written no faster than their clients read. The last ``send`` returns when all has been
read.

Until then the application waits in its last ``send``, so that everything it holds meanwhile, such as a place among the
connections of its address, is bounded together with the answers.
"""

import logging
from collections.abc import Callable
from typing import Any, Protocol

from ..conf import get_conf
from ..runtime.asgi_types import Event, Send
from . import reactor
from .backpressure import Buffer, register
from .deadlines import Deadlines
from .private_objects import Feature, fits
from .transport import protocol_of, socket_of

logger = logging.getLogger("realtime.answers")

PIECE_BYTES = 64 * 1024
"""How many bytes of an answer are kept for its client at most; the client has ``stall_seconds`` to read them."""
MAX_WAITING = 1000
"""How many answers may wait for their clients at once; a further one aborts the one that has waited longest."""

MAX_LONG_BYTES, MAX_LONG_BYTES_PER_ADDRESS = 256 * 2**20, 64 * 2**20
"""Limits for the bytes of all answers that are longer than a piece and have waited for their clients: Django keeps a
whole answer in memory until its last piece is sent."""

waiting = Deadlines(lambda: MAX_WAITING, "did not read their answer in time")
"""The answers that wait in this process."""


class _Unread(Protocol):
    """The bytes of a connection that its server keeps until they can be sent."""

    @property
    def is_empty(self) -> bool: ...

    async def until_empty(self) -> None: ...

    def abort(self) -> None: ...

    def close(self) -> None: ...


class LongAnswers:
    """The answers longer than a piece that have waited for their clients; the oldest are aborted for others."""

    def __init__(self) -> None:
        self._of: dict[str | None, dict[Answer, int]] = {}  # lengths by address, oldest first

    def add(self, answer: "Answer", length: int) -> None:
        """Count an answer until ``discard``; while there are too many bytes, abort older ones."""
        self._of.setdefault(answer.address, {})[answer] = length
        while (crowded := self._crowded(answer.address)) is not None:
            oldest = next(iter(crowded))
            if oldest is answer:  # the only one, or all others are shorter
                return
            logger.warning(
                "ended an answer of %d bytes that its client reads slowly: with others to %s they are %d bytes",
                crowded[oldest], oldest.address, sum(crowded.values()),
            )  # fmt: skip
            self.discard(oldest)
            oldest.abort()

    def discard(self, answer: "Answer") -> None:
        """Forget an answer. Safe to call twice."""
        of_address = self._of.get(answer.address, {})
        if of_address.pop(answer, None) is not None and not of_address:
            del self._of[answer.address]

    def _crowded(self, address: str | None) -> "dict[Answer, int] | None":
        """Return the answers one of which has to be aborted: those of an address over its share, or with the most."""
        bytes_of = {each: sum(lengths.values()) for each, lengths in self._of.items()}
        if address is not None and bytes_of[address] > MAX_LONG_BYTES_PER_ADDRESS:
            return self._of[address]
        if sum(bytes_of.values()) > MAX_LONG_BYTES:
            return self._of[max(bytes_of, key=bytes_of.__getitem__)]
        return None


long_answers = LongAnswers()
"""Those of this process."""


class Answer:
    """The answer to one request; on an unknown server it is passed on unchanged."""

    def __init__(self, method: str, send: Send, address: Callable[[], str | None] = lambda: None) -> None:
        """``address`` returns the client's address for limits; it is called if the answer waits for its client."""
        self.is_started = False
        self._method, self._send = method, send
        self._address_of = address
        self.address: str | None = None
        self._length = 0
        self._unread = _unread(send)

    async def send(self, event: Event) -> None:
        """Send an event when the client has read the earlier ones; return from the last one when it has read all."""
        self.is_started = True
        if self._unread is None:
            await self._send(event)
            return
        await self._until_read(self._unread)
        if event["type"] != "http.response.body":
            self._length = _length(event)
            await self._send(event)
            return
        # daphne would send the body of an answer to HEAD.
        body: bytes = b"" if self._method == "HEAD" else event.get("body", b"")
        for start in range(0, len(body), PIECE_BYTES):
            piece = body[start : start + PIECE_BYTES]
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
            await self._until_read(self._unread)
        if not event.get("more_body", False):
            self.close()
            await self._send({"type": "http.response.body", "body": b""})

    def close(self) -> None:
        """End the answer; the connection is free for its next request. Safe to call twice."""
        long_answers.discard(self)
        if self._unread is not None:
            self._unread.close()

    def abort(self) -> None:
        """End the connection: its client reads too slowly."""
        if self._unread is not None:
            self._unread.abort()

    async def _until_read(self, unread: _Unread) -> None:
        if unread.is_empty:
            return
        if self._length > PIECE_BYTES:
            self.address = self._address_of()
            long_answers.add(self, self._length)
            self._length = 0  # counted
        waiting.start(self, get_conf().stall_seconds, unread.abort)
        try:
            await unread.until_empty()
        finally:
            waiting.cancel(self)


def _unread(send: Send) -> _Unread | None:
    """Return the unread bytes behind a server's own ``send``; None if they cannot be known."""
    protocol = protocol_of(send)
    if not reactor.is_running():
        is_uvicorns = hasattr(protocol, "flow") and fits(Feature.UVICORN_BACKPRESSURE)
        return _OfUvicorn(protocol) if is_uvicorns else None
    if not fits(Feature.DAPHNE_BACKPRESSURE) or getattr(protocol, "channel", None) is None:
        return None
    return _OfDaphne(protocol)


class _OfUvicorn:
    """Uses uvicorn's flow control, to which asyncio reports when a transport has unsent bytes, and when none."""

    def __init__(self, request: Any) -> None:
        self._flow, self._transport = request.flow, request.transport
        self._transport.set_write_buffer_limits(high=0)

    @property
    def is_empty(self) -> bool:
        return not self._flow.write_paused

    async def until_empty(self) -> None:
        await self._flow.drain()

    def abort(self) -> None:
        self._transport.abort()

    def close(self) -> None:
        self._transport.set_write_buffer_limits()


class _OfDaphne:
    """Uses a producer, to which Twisted reports the same."""

    def __init__(self, request: Any) -> None:
        self._request, self._socket = request, socket_of(request.transport)
        self._socket.bufferSize = 0
        self._buffer = Buffer()
        register(self._buffer, request)

    @property
    def is_empty(self) -> bool:
        return self._buffer.is_free.is_set()

    async def until_empty(self) -> None:
        await self._buffer.is_free.wait()

    def abort(self) -> None:
        self._socket.abortConnection()

    def close(self) -> None:
        if getattr(self._request, "channel", None) is not None:  # neither answered nor lost
            self._request.unregisterProducer()
        vars(self._socket).pop("bufferSize", None)


def _length(start: Event) -> int:
    """Return the length that the headers of an answer promise; 0 if they do not."""
    for name, value in start.get("headers", ()):
        if name.lower() == b"content-length" and value.isdigit():
            return int(value)
    return 0
