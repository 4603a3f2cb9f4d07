"""Read pauses: when one topic may be read again, after failures and after repeated reads."""

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager

MAX_PAUSE_SECONDS = 10.0
"""The longest pause between two attempts to bring up a topic that fails; the first ones are shorter."""
REST_SECONDS, MAX_REST_SECONDS = 0.05, 0.5
"""How long a topic that was read again rests before the next read, if that follows soon: at least, and at most."""
SOON_SECONDS = 2.0
"""A read that begins within this time after the topic's rest is a repeated one; it makes the rests longer."""


class ReadPauses:
    """The pauses between attempts to bring one topic up, which grow with failures and with repeated reads."""

    def __init__(self) -> None:
        self.failures = 0
        """How many attempts in a row have failed; counted up to ten."""
        self._attempt_at = self._rests_until = -math.inf  # by the loop's clock
        self._repeated = 0  # how often it was read again, soon after the time before

    @property
    def are_over(self) -> bool:
        """Whether the next attempt may begin."""
        return _now() >= self._attempt_at

    @property
    def rest_seconds(self) -> float:
        """How long the topic must rest before all its rows are read again; 0 if it need not."""
        return max(0.0, self._rests_until - _now())

    def wait(self, seconds: float) -> None:
        """Let the next attempt begin after some time."""
        self._attempt_at = _now() + seconds

    def succeed(self) -> None:
        """End the pauses after failures."""
        self.failures, self._attempt_at = 0, -math.inf

    def fail(self) -> None:
        """Lengthen the pause. After the first failure there is none: it may have been that of a connection."""
        self.wait(min(MAX_PAUSE_SECONDS, 0.25 * 2**self.failures) if self.failures else 0.0)
        self.failures = min(self.failures + 1, 10)

    @contextmanager
    def repeated_read(self) -> Iterator[None]:
        """Time a read of all rows: the more often it is repeated, and the longer it takes, the longer the rest."""
        begun = _now()
        self._repeated = self._repeated + 1 if begun < self._rests_until + SOON_SECONDS else 0
        yield
        ended = _now()
        rest = max(REST_SECONDS * 2**self._repeated, ended - begun) if self._repeated else 0.0
        self._rests_until = ended + min(rest, MAX_REST_SECONDS)


def _now() -> float:
    return asyncio.get_running_loop().time()
