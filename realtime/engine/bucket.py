"""A token bucket: limits a rate, and allows a burst after a pause."""


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
        if self._at is not None:
            self._level = min(self._burst, self._level + (now - self._at) * self._rate)
        self._at = now
        if amount > self._level:
            return False
        self._level -= amount
        return True
