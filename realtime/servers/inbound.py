"""What one connection sends, on its way in: in small pieces, and no quicker than it is taken."""

import asyncio
import logging
import time
from collections.abc import Callable

from ..conf import get_conf

logger = logging.getLogger("realtime.inbound")

MAX_FRAGMENTS = 64
"""Frames that one message may come in."""
MAX_CONTROLS, CONTROL_SECONDS = 100, 10.0
"""Pings and pongs of one connection that may come in so many seconds."""
MAX_LATE = 256
"""What may come after our farewell, on its way already; more, and the connection is cut."""
MAX_WAITING = 16
"""Messages of a connection that the application has not taken; nothing more is read from it meanwhile."""


def max_frame_bytes() -> int:
    """Return how long a message may be for the session to be told, which says that it is too long (4400)."""
    return 4 * get_conf().max_message_bytes


class Inbound:
    """Hands bytes on to a parser, a piece in each turn of the event loop, while nobody has to be waited for.

    So a flood of a thousand tiny messages in one packet costs others no more than a piece of it, and what has
    not been handed on holds up the client that sent it: nothing more is read from it.
    """

    PIECE_BYTES = 1024

    def __init__(
        self,
        hand_on: Callable[[bytes], None],
        pause: Callable[[], None],
        resume: Callable[[], None],
        drop: Callable[[], None],
    ) -> None:
        """``pause`` and ``resume`` the reading, may be called again and again; ``drop`` ends the connection."""
        self._hand_on, self._pause, self._resume, self._drop = hand_on, pause, resume, drop
        self._held = bytearray()
        self._waits_for: set[str] = set()
        self._is_due = False

    def take(self, data: bytes) -> None:
        """Take what has just been read."""
        if len(data) <= self.PIECE_BYTES and not self._held and not self._waits_for:
            self._try(data)
            return
        self._held += data
        self._pause()
        self._go_on_soon()

    def wait_for(self, what: str) -> None:
        """Hand nothing on until it is ``ready``."""
        self._waits_for.add(what)

    def ready(self, what: str) -> None:
        self._waits_for.discard(what)
        self._go_on_soon()

    def close(self) -> None:
        """The connection has gone, and with it what it had to say."""
        self._held.clear()

    def _go_on_soon(self) -> None:
        if self._held and not self._waits_for and not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        self._is_due = False
        if not self._held or self._waits_for:
            return
        piece = bytes(self._held[: self.PIECE_BYTES])
        del self._held[: self.PIECE_BYTES]
        self._try(piece)
        if not self._held:
            self._resume()
        self._go_on_soon()

    def _try(self, piece: bytes) -> None:
        try:
            self._hand_on(piece)
        except Exception as error:  # a parser's own fault; the connection's last word in any case
            logger.error("connection dropped: %s: %s", type(error).__name__, error)
            self.close()
            self._drop()


class Controls:
    """Counts the pings and pongs of one connection: they cost as much as messages, and no application sees them."""

    __slots__ = ("_count", "_since")

    def __init__(self) -> None:
        self._count, self._since = 0, -CONTROL_SECONDS

    def has_room(self) -> bool:
        """Count one more; return whether it may come."""
        now = time.monotonic()
        if now - self._since > CONTROL_SECONDS:
            self._since, self._count = now, 0
        self._count += 1
        return self._count <= MAX_CONTROLS
