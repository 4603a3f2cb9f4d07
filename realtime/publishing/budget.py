"""The time that reading rows may take: queries are bounded by the database, rendering between two rows."""

import time


class OutOfTime(BaseException):
    """The time is over; not an Exception, which would be taken for a fault of the row."""


class Budget:
    """The time that one feed has for a reading, and how many rows it has rendered in it."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.rows = 0
        self._ends = time.monotonic() + seconds

    @property
    def left(self) -> float:
        return self._ends - time.monotonic()

    @property
    def is_used_up(self) -> bool:
        return self.left <= 0

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
