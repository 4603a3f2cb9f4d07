"""A token bucket: how much one may do per second, and how much at once after a rest."""


class Bucket:
    """Full to begin with. Pure: ``now`` is any clock's seconds, and never goes back."""

    __slots__ = ("_at", "_burst", "_level", "_rate")

    def __init__(self, rate: float, burst: float) -> None:
        """``rate`` per second; never more than ``burst`` are saved up."""
        self._rate, self._burst = rate, burst
        self._level = burst
        self._at: float | None = None

    def take(self, amount: float, now: float) -> bool:
        """Take out so much if it is there; return whether it was."""
        if self._at is not None:
            self._level = min(self._burst, self._level + (now - self._at) * self._rate)
        self._at = now
        if amount > self._level:
            return False
        self._level -= amount
        return True
