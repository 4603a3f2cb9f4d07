"""The pulse: a row of a healthy feed, changed regularly, and the time until each viewer shows each change."""

import contextlib
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from tests.faults.viewers import Viewer

TOPIC = "pulses"


class Pulse:
    """Counts up in a row; ``seen`` is called for every change of a viewer.

    Units: ``latencies`` in seconds, from the return of the commit until the viewer has applied the message. A number
           that was skipped counts until a later one is shown. Most of this process's own work comes later: it uses a
           twentieth of a core, and a client in another process sees the same latencies.
    """

    def __init__(self, connect: Callable[[], Any]) -> None:
        self.latencies: list[float] = []
        self._connect = connect
        self._number = 0
        self._committed: dict[int, float] = {}
        self._shown: dict[Viewer, int] = defaultdict(int)

    def beat(self) -> None:
        """Write the next number and commit."""
        with contextlib.closing(self._connect()) as database:
            database.execute(f"UPDATE faulty_pulse SET number = {self._number + 1}")
        self._number += 1
        self._committed[self._number] = time.monotonic()

    def seen(self, viewer: Viewer) -> None:
        now = time.monotonic()
        for (number,) in viewer.state.values():
            assert isinstance(number, int)
            for each in range(self._shown[viewer] + 1, number + 1):
                self.latencies.append(max(0.0, now - self._committed.get(each, now)))
            self._shown[viewer] = max(number, self._shown[viewer])

    def percentile(self, percent: int) -> float:
        """Return the latency that this share of the changes does not exceed; 0 without changes."""
        if len(self.latencies) < 2:
            return 0.0
        return statistics.quantiles(self.latencies, n=100, method="inclusive")[percent - 1]
