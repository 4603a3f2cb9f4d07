"""The time that reading rows may take: queries are bounded by the database, rendering between two rows."""

import time

from ..runtime import cpu_time


class OutOfTime(BaseException):
    """The time is over. It is not an Exception, so that it is not mistaken for a fault of the row."""


class Budget:
    """The time that one feed has for a reading, in the thread that reads, and how many rows it has rendered in it."""

    def __init__(self, seconds: float, longest: float = 0.0) -> None:
        """``longest``: up to how many seconds the time is extended if the thread waits for a core; by default not."""
        self.seconds = seconds
        self.rows = 0
        self._begun = time.monotonic()
        self._ends, self._latest = self._begun + seconds, self._begun + max(seconds, longest)
        self._waited = cpu_time.waited()

    @property
    def left(self) -> float:
        now = time.monotonic()
        if self._ends <= now < self._latest:
            self.count_waiting()
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
