"""Connections that have yet to say what they want: each has so long for it, and there are only so many.

For servers that let a client take its time: ``guards.py`` tells of daphne's connections, ``uvicorn.py`` of uvicorn's.
"""

import asyncio
import logging
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from ..conf import get_conf

logger = logging.getLogger("realtime.handshakes")

LOOK_SECONDS = 0.5
GRACE_SECONDS = 1.0
"""Nobody makes room earlier: a server may accept thousands before it reads what the first one says."""


@dataclass(slots=True)
class Expected:
    """When something was expected first, and by when; ``drop`` ends the connection."""

    since: float
    until: float
    drop: Callable[[], None]


class Deadlines:
    """Of one process; a connection is in here while no request of it is being served."""

    def __init__(self) -> None:
        self._expected: dict[Hashable, Expected] = {}  # by connection, oldest first
        self._timer: asyncio.TimerHandle | None = None
        self._late = self._crowded = 0

    def expect(self, connection: Hashable, seconds: float, drop: Callable[[], None]) -> None:
        """Give a connection so long for what comes next, whatever it sends meanwhile; the last word counts.

        Where there are too many those that have waited longest make room: an honest client is done in a moment.
        """
        loop = asyncio.get_running_loop()
        now, limit = loop.time(), get_conf().max_handshakes
        self._expected.pop(connection, None)
        while len(self._expected) >= limit:
            oldest, expected = next(iter(self._expected.items()))
            if now - expected.since < GRACE_SECONDS:
                break
            self._crowded += 1
            self._drop(oldest)
        self._expected[connection] = Expected(now, now + seconds, drop)
        if self._timer is None:
            self._timer = loop.call_later(LOOK_SECONDS, self._look)

    def done(self, connection: Hashable) -> None:
        """It has said what it wants, or it has gone."""
        self._expected.pop(connection, None)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in [name for name, expected in self._expected.items() if expected.until <= now]:
            self._late += 1
            self._drop(connection)
        if self._late or self._crowded:
            logger.warning(
                "%d connections dropped that took too long to say what they want, %d to make room",
                self._late,
                self._crowded,
            )
        self._late = self._crowded = 0
        self._timer = loop.call_later(LOOK_SECONDS, self._look) if self._expected else None

    def _drop(self, connection: Hashable) -> None:
        self._expected.pop(connection).drop()


deadlines = Deadlines()
"""Those of this process."""
