"""A token bucket: limits a rate, and allows a burst after a pause."""


def burst_of(rate: float, seconds: float) -> float:
    """Return how many units a rate allows at once: the units of some seconds, but at least one unless the rate is 0."""
    return max(1.0, rate * seconds) if rate else 0.0


class Bucket:
    """Full at first. Pure: ``now`` is any clock's seconds and must not decrease."""

    __slots__ = ("_at", "_burst", "_level", "_rate")

    def __init__(self, rate: float, burst: float) -> None:
        """``rate`` is added per second, up to a level of ``burst``."""
        self._rate, self._burst = rate, burst
        self._level = burst
        self._at: float | None = None

    def take(self, amount: float, now: float) -> bool:
        """Remove ``amount`` if the level allows it; return whether it did."""
        self._refill(now)
        if amount > self._level:
            return False
        self._level -= amount
        return True

    def spend(self, amount: float, now: float) -> None:
        """Remove an ``amount`` that was used already: the level may become negative, down to minus ``burst``."""
        self._refill(now)
        self._level = max(self._level - amount, -self._burst)

    def seconds_until(self, amount: float, now: float) -> float:
        """Return when the level will be ``amount``, in seconds from now; 0 if it is."""
        self._refill(now)
        return max(0.0, amount - self._level) / self._rate

    def _refill(self, now: float) -> None:
        if self._at is not None:
            self._level = min(self._burst, self._level + (now - self._at) * self._rate)
        self._at = now
