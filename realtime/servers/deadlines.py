"""Deadlines for connections whose request is still incomplete; their number is limited too.

For servers that have no time limit for a request: ``daphne.py`` reports daphne's connections here,
``uvicorn_guards.py`` uvicorn's.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from ..conf import get_conf

logger = logging.getLogger("realtime.handshakes")

CHECK_SECONDS = 0.5
PART_BYTES = 16 * 1024
"""How many bytes of a body have to arrive in each ``handshake_seconds``."""
GRACE_SECONDS = 1.0
"""The time before a connection may be dropped for others: a server may accept thousands before it reads from the
first."""


@dataclass(slots=True)
class _Deadline:
    """A deadline: when the wait began and when it ends; ``drop`` ends the connection."""

    since: float
    until: float
    drop: Callable[[], None]
    address: str | None


class Deadlines:
    """The deadlines of one process. A connection has one while no request of it is being served."""

    def __init__(
        self,
        limit: Callable[[], int] = lambda: get_conf().max_handshakes,
        fault: str = "sent no complete request in time",
    ) -> None:
        """``limit`` returns how many there may be; ``fault`` is the reason in the log for dropped connections."""
        self._limit, self._fault = limit, fault
        self._deadlines: dict[Hashable, _Deadline] = {}  # by connection, oldest first
        self._of: dict[str | None, dict[Hashable, None]] = {}  # by address, oldest first
        self._timer: asyncio.TimerHandle | None = None
        self._late = self._crowded = 0
        self._longest = math.inf

    def start(
        self, connection: Hashable, seconds: float, drop: Callable[[], None], address: str | None = None
    ) -> None:
        """Drop a connection after some seconds, whatever it sends meanwhile. The deadline replaces an earlier one.

        If there are too many, in total or of one address, those that have waited longest are dropped: a well-behaved
        client is done in a moment. None as address means that no limit per address applies.
        """
        loop = asyncio.get_running_loop()
        now, limit = loop.time(), self._limit()
        self.cancel(connection)
        while len(self._deadlines) >= limit and self._drop_if_old(next(iter(self._deadlines)), now):
            pass
        self._deadlines[connection] = _Deadline(now, now + min(seconds, self._longest), drop, address)
        self._of.setdefault(address, {})[connection] = None
        self._bound(address, now)
        if self._timer is None:
            self._timer = loop.call_later(CHECK_SECONDS, self._check)

    def cancel(self, connection: Hashable) -> None:
        """Forget a connection's deadline: its request is complete, or the connection is lost."""
        deadline = self._deadlines.pop(connection, None)
        if deadline is not None:
            of_address = self._of[deadline.address]
            del of_address[connection]
            if not of_address:
                del self._of[deadline.address]

    def make_room(self) -> bool:
        """Drop the connection that has waited longest, of the address with the most; return False if there is none."""
        if not self._deadlines:
            return False
        of_address = max(self._of.values(), key=len)
        self._crowded += 1
        self._drop(next(iter(of_address)))
        return True

    def hasten(self, seconds: float) -> None:
        """Shorten all waits to this time from now on, because the process stops."""
        self._longest = seconds
        if self._deadlines:
            ends = asyncio.get_running_loop().time() + seconds
            for deadline in self._deadlines.values():
                deadline.until = min(deadline.until, ends)

    def _bound(self, address: str | None, now: float) -> None:
        """Drop connections of an address that has too many."""
        limit = get_conf().max_connections_per_address
        while address is not None and len(of_address := self._of.get(address, {})) > limit:
            if not self._drop_if_old(next(iter(of_address)), now):
                break

    def _drop_if_old(self, connection: Hashable, now: float) -> bool:
        if now - self._deadlines[connection].since < GRACE_SECONDS:
            return False
        self._crowded += 1
        self._drop(connection)
        return True

    def _check(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in [name for name, deadline in self._deadlines.items() if deadline.until <= now]:
            self._late += 1
            self._drop(connection)
        for address in list(self._of):
            self._bound(address, now)
        if self._late or self._crowded:
            logger.warning(
                "dropped %d connections that %s, %d to make room",
                self._late,
                self._fault,
                self._crowded,
            )
        self._late = self._crowded = 0
        self._timer = loop.call_later(CHECK_SECONDS, self._check) if self._deadlines else None

    def _drop(self, connection: Hashable) -> None:
        drop = self._deadlines[connection].drop
        self.cancel(connection)
        drop()


class BodyDeadline:
    """The deadline of one request's body: for the next part of it, and for the whole."""

    def __init__(self, start: Callable[[float], None]) -> None:
        """``start`` starts the deadline of the request's connection anew, in so many seconds."""
        self._start = start
        self._began = time.monotonic()
        self._bytes = 0
        self._restart(self._began)

    def count(self, size: int) -> None:
        """Count received bytes; each further part gives the client time for the next one."""
        self._bytes += size
        if self._bytes >= PART_BYTES:
            self._bytes = 0
            self._restart(time.monotonic())

    def _restart(self, now: float) -> None:
        conf = get_conf()
        self._start(min(conf.handshake_seconds, conf.request_seconds - (now - self._began)))


deadlines = Deadlines()
"""The deadlines of this process. The service does not hold them: uvicorn makes its protocol objects itself, without a
reference to the service, and before the application is called for the first time."""
