"""Write pauses: functions of ``on_change`` and pruning leave other programs time to write, where all wait for one lock.

SQLite does not queue those that wait for its write lock: each looks again every 0.1 s, and fails after its time-out.
Work that writes without a pause would take the lock again between almost any two looks.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..databases.registry import database

PAUSE_SECONDS = 0.15
"""How long a pause is: at least one look of each program that waits falls into it."""
BUSY_SECONDS = 0.6
"""How long work may write, in one transaction after the other, before the next pause."""


class WritePauses:
    """The pauses of work that several threads may do, in one process."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self._writing = threading.Lock()
        self._paused_at = self._written_at = clock()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write in this block, alone; then pause if there was no pause for ``BUSY_SECONDS``.

        A time without such a block is a pause too, so single changes cause none. Where writers do not wait for each
        other, the block is like any other.
        """
        if not database().HAS_ONE_WRITER:
            yield
            return
        with self._writing:
            begun = self._clock()
            if begun - self._written_at >= PAUSE_SECONDS:
                self._paused_at = begun
            try:
                yield
            finally:
                if self._clock() - self._paused_at >= BUSY_SECONDS:
                    self._sleep(PAUSE_SECONDS)
                    self._paused_at = self._clock()
                self._written_at = self._clock()
