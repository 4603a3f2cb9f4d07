"""Password attempts: how often a password may be tried for one name, and from one address."""

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

from ..engine.bucket import Bucket
from ..engine.codes import Code
from ..engine.errors import RealtimeError

PER_SECOND = 0.2
AT_ONCE = 10
MAX_REMEMBERED = 100_000
"""Names and addresses for which attempts are counted; beyond that the least recently tried are forgotten."""


class TooManyPasswords(RealtimeError):
    """Passwords are tried in quick succession for one name or from one address."""

    code = Code.TOO_MUCH

    def __str__(self) -> str:
        return f"too many passwords; one every {1 / PER_SECOND:g} s is checked"


class PasswordAttempts:
    """The recent attempts in one process and event loop."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[tuple[str, int], Bucket] = OrderedDict()

    def count(self, name: str, address: str | None) -> None:
        """Count an attempt for a name and from an address.

        Raises: TooManyPasswords.
        """
        # Hashes: a name may be as long as a header.
        for key in (("address", hash(address)), ("name", hash(name))):
            bucket = self._buckets.pop(key, None) or Bucket(PER_SECOND, AT_ONCE)
            self._buckets[key] = bucket
            if len(self._buckets) > MAX_REMEMBERED:
                self._buckets.popitem(last=False)
            if not bucket.take(1, self._clock()):
                raise TooManyPasswords
