"""Budgets: how much of something each client may use, at a rate and with a reserve for bursts."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from math import ceil
from time import monotonic

from ..engine.bucket import Bucket
from ..engine.codes import Code
from ..engine.errors import RealtimeError

MAX_REMEMBERED = 100_000
"""How many owners are remembered; beyond that the least recently seen are forgotten."""


class Overdrawn(RealtimeError):
    """A client has used its share of this server's processing time."""

    code = Code.TOO_MUCH

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds

    def __str__(self) -> str:
        return (
            "your address has used its share of this server's time; send less, and try again in "
            f"{ceil(self.seconds)} s"
        )


class Budgets:
    """The budgets of one kind in one process, one for each owner; callable from any thread.

    The cost of something is counted after it was used, when it is known. So a budget may be overdrawn, and its owner
    waits until the budget is positive again.
    """

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = monotonic) -> None:
        """``rate`` is granted per second, up to ``burst`` at once."""
        self._rate, self._burst, self._clock = rate, burst, clock
        self._buckets: OrderedDict[int, Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def spend(self, owner: Hashable, amount: float) -> None:
        """Count CPU time, or another amount, as used by an owner. None stands for an unknown owner and has no limit."""
        if owner is None:
            return
        with self._lock:
            # Hashes: a name may be as long as a header.
            bucket = self._buckets.pop(hash(owner), None) or Bucket(self._rate, self._burst)
            self._buckets[hash(owner)] = bucket
            if len(self._buckets) > MAX_REMEMBERED:
                self._buckets.popitem(last=False)
            bucket.spend(amount, self._clock())

    def seconds_until(self, owner: Hashable, amount: float) -> float:
        """Return when an owner may use ``amount``, in seconds from now; 0 if it may."""
        with self._lock:
            bucket = self._buckets.get(hash(owner))
            return 0.0 if bucket is None else bucket.seconds_until(amount, self._clock())
