"""The time that reading rows may take: queries are bounded by the database, rendering between two rows."""

import math
import time

from ..runtime import cpu_time
from ..runtime.failures import Passing

REMEMBERED_SECONDS = 60.0
"""How long the result of a trial of the machine is used for further readings."""


class OutOfTime(Passing):
    """The time is over. It is not an Exception, so that it is not mistaken for a fault of the row."""


class Budget:
    """The time that one feed has for a reading, in the thread that reads, and how many rows it has rendered in it."""

    def __init__(self, seconds: float, longest: float = 0.0) -> None:
        """``longest``: up to how many seconds the time is extended on a busy machine; by default not."""
        self.seconds = seconds
        self.rows = 0
        self._begun = time.monotonic()
        self._latest = self._begun + max(seconds, longest)
        self._ends = min(self._begun + seconds * _machine.slowdown, self._latest)
        self._waited = cpu_time.waited()

    @property
    def left(self) -> float:
        now = time.monotonic()
        if self._ends <= now < self._latest:
            self.count_waiting()
            if self._ends <= now:
                self._count_slowdown(now)
        return self._ends - now

    @property
    def is_used_up(self) -> bool:
        return self.left <= 0

    @property
    def has_lasted(self) -> bool:
        """Whether the time is over by the clock."""
        return time.monotonic() >= self._begun + self.seconds

    def count_waiting(self) -> None:
        """Add the time in which the thread has waited for a core; ``left`` does so when the time is over."""
        waited = cpu_time.waited()
        self._ends = min(self._ends + waited - self._waited, self._latest)
        self._waited = waited

    def _count_slowdown(self, now: float) -> None:
        """Let the time last as many times as long as the machine takes for other work; if it is over, it stays so."""
        self._ends = max(self._ends, min(self._begun + self.seconds * _machine.try_out(), self._latest))
        if self._ends <= now:
            self._latest = self._ends

    def check(self) -> None:
        """Raises: OutOfTime."""
        if self.is_used_up:
            raise OutOfTime

    def spend_on_a_row(self) -> None:
        """Call it before a row is rendered.

        Raises: OutOfTime.
        """
        self.check()
        self.rows += 1


class _Machine:
    """What the last trial has shown: how many times as long as on an idle machine work takes."""

    def __init__(self) -> None:
        self._slowdown, self._tried_at = 1.0, -math.inf

    @property
    def slowdown(self) -> float:
        is_recent = time.monotonic() < self._tried_at + REMEMBERED_SECONDS
        return self._slowdown if is_recent else 1.0

    def try_out(self) -> float:
        self._slowdown, self._tried_at = cpu_time.slowdown(), time.monotonic()
        return self._slowdown


_machine = _Machine()
