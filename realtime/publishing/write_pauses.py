"""Write pauses: functions of ``on_change`` leave other programs time to write, where all writers wait for one lock.

SQLite does not queue those that wait for its write lock: each looks again every 0.1 s, and fails after its time-out.
Functions that write without a pause would take the lock again between almost any two looks.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PAUSE_SECONDS = 0.15
"""How long no function of the process writes: at least one look of each program that waits falls into it."""
BUSY_SECONDS = 0.6
"""How long functions may write, one after the other, before the next pause."""


class WritePauses:
    """The pauses of all functions of one process; its one instance is ``write_pauses``."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self._writing = threading.Lock()
        self._paused_at = self._written_at = clock()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write in this block, alone; then pause if functions have been busy for ``BUSY_SECONDS`` since the last pause.

        A time in which no function has written is a pause too, so single changes cause none.
        """
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


write_pauses = WritePauses()
