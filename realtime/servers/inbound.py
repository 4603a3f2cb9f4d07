"""Bytes that one connection sends, parsed in small pieces, and no faster than they are consumed."""

import asyncio
import logging
import time
from collections.abc import Callable

from ..conf import get_conf

logger = logging.getLogger("realtime.inbound")

MAX_FRAGMENTS = 64
"""Limit of frames that one message may consist of."""
MAX_CONTROLS, CONTROL_SECONDS = 100, 10.0
"""Limit of pings and pongs that one connection may send in this time."""
MAX_LATE = 256
"""Limit of frames that may arrive after our close frame, because they were sent before; with more the connection is
aborted."""
MAX_QUEUED = 16
"""How many messages may wait for the application; with more, nothing is read from their connection."""


def max_frame_bytes() -> int:
    """Return the length up to which a message reaches the session, which answers that it is too long (4400)."""
    return 4 * get_conf().max_message_bytes


class Inbound:
    """Passes bytes to a parser, one piece in each turn of the event loop, unless they are held back.

    A thousand tiny messages in one packet thus delay other connections by one piece only, and unparsed bytes slow down
    the client that sent them: nothing more is read from it.
    """

    PIECE_BYTES = 1024

    def __init__(
        self,
        parse: Callable[[bytes], None],
        pause: Callable[[], None],
        resume: Callable[[], None],
        drop: Callable[[], None],
    ) -> None:
        """``pause`` and ``resume`` control reading and may be called repeatedly; ``drop`` ends the connection."""
        self._parse, self._pause, self._resume, self._drop = parse, pause, resume, drop
        self._unparsed = bytearray()
        self._held_by: set[str] = set()
        self._is_scheduled = False
        self.pay: Callable[[float], float] | None = None
        """Called with the CPU time that parsing took; returns for how many seconds nothing more may be parsed."""

    def receive(self, data: bytes) -> None:
        """Parse bytes that have just been read, now or as soon as possible."""
        if len(data) <= self.PIECE_BYTES and not self._unparsed and not self._held_by:
            self._try(data)
            return
        self._unparsed += data
        self._pause()
        self._schedule()

    def hold(self, reason: str) -> None:
        """Parse nothing until the reason is released."""
        self._held_by.add(reason)

    def hold_for(self, reason: str, seconds: float) -> None:
        """Parse nothing for some seconds."""
        self.hold(reason)
        asyncio.get_running_loop().call_later(seconds, self.release, reason)

    def release(self, reason: str) -> None:
        self._held_by.discard(reason)
        self._schedule()

    def hand_over(self) -> bytes:
        """Close, and return the unparsed bytes for another parser; reading continues."""
        left = bytes(self._unparsed)
        self._resume()
        self.close()
        return left

    def close(self) -> None:
        """Discard the unparsed bytes and all further ones: the connection is lost.

        The functions are dropped too. They refer to the connection, which refers to this object: such a cycle would
        wait for the garbage collector, which stops the loop.
        """
        self._unparsed.clear()
        self._parse, self._pause, self._resume, self._drop = _discard, _do_nothing, _do_nothing, _do_nothing

    def _schedule(self) -> None:
        if self._unparsed and not self._held_by and not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._parse_piece)

    def _parse_piece(self) -> None:
        self._is_scheduled = False
        if not self._unparsed or self._held_by:
            return
        piece = bytes(self._unparsed[: self.PIECE_BYTES])
        del self._unparsed[: self.PIECE_BYTES]
        self._try(piece)
        if not self._unparsed:
            self._resume()
        self._schedule()

    def _try(self, piece: bytes) -> None:
        began = time.thread_time()
        try:
            self._parse(piece)
        except Exception as error:  # the parser has failed, and cannot be used any more
            logger.error("connection dropped: %s: %s", type(error).__name__, error)
            drop = self._drop
            self.close()
            drop()
        if self.pay is not None and (pause := self.pay(time.thread_time() - began)) > 0:
            self.hold_for("share", pause)


def _discard(data: bytes) -> None:
    """Parse nothing."""


def _do_nothing() -> None:
    """Used instead of pause, resume and drop when the connection is lost."""


class Controls:
    """Counts the pings and pongs of one connection: each costs as much as a message, and no application sees it."""

    __slots__ = ("_count", "_since")

    def __init__(self) -> None:
        self._count, self._since = 0, -CONTROL_SECONDS

    def count(self) -> bool:
        """Count one more; return whether it is within the limit."""
        now = time.monotonic()
        if now - self._since > CONTROL_SECONDS:
            self._since, self._count = now, 0
        self._count += 1
        return self._count <= MAX_CONTROLS
