"""Shares: how much of this process the connections of one address may take before a request or message is known.

A client may send a request and leave before the answer, a thousand times a second: each request would cost the server
as much as an answered one, and no place would bound their number. Or it may send bytes that are expensive to parse:
chunks of one byte, frames without a payload. Parsing has a share of its own beside that of processing
(``access/budgets.py``).
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from ..conf import Conf, get_conf
from ..engine.bucket import Bucket
from .deadlines import GRACE_SECONDS
from .inbound import Inbound

MAX_ACCEPTS = 10
"""How many connections a server accepts in one turn of the event loop, whatever their addresses."""
BURST, PER_SECOND = 10.0, 0.5
"""How many connections an address may open at once and in a second, for each that it may have open."""
HELD_SECONDS = 1.5 * GRACE_SECONDS
"""How long connections over the rate are held back. Longer than the grace of ``Deadlines``, so that of too many
connections the oldest are dropped before they are parsed."""
BURST_SECONDS = 0.002
"""How much CPU time parsing may take at once, for each connection that an address may have open."""
MAX_PAUSE_SECONDS = 1.0
"""The longest pause in parsing one connection: shorter than the deadline of a request."""
MAX_REMEMBERED = 100_000
"""Addresses that are counted; beyond that the least recently seen are forgotten."""


class Shares:
    """The shares of all addresses in one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._arrivals: _Buckets = _Buckets(_arrivals)
        self._parsing: _Buckets = _Buckets(_parsing)

    def admit(self, address: str | None, inbound: Inbound) -> None:
        """Count a new connection; hold back its bytes if its address opens too many. None as address means no limit."""
        if address is None:
            return
        self.charge(address, inbound)
        if not self._arrivals.of(address).take(1, self._clock()):
            inbound.hold_for("arrival", HELD_SECONDS)

    def charge(self, address: str | None, inbound: Inbound) -> None:
        """Count the CPU time of parsing a connection for its address."""
        if address is not None:
            inbound.pay = partial(self._pay, address)

    def _pay(self, address: str, seconds: float) -> float:
        """Count CPU time; return for how many seconds nothing more may be parsed."""
        bucket, now = self._parsing.of(address), self._clock()
        bucket.spend(seconds, now)
        return min(bucket.seconds_until(0, now), MAX_PAUSE_SECONDS)


class _Buckets:
    """Buckets by address."""

    def __init__(self, make: Callable[[Conf], Bucket]) -> None:
        self._make = make
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def of(self, address: str) -> Bucket:
        bucket = self._buckets.pop(address, None) or self._make(get_conf())
        self._buckets[address] = bucket
        if len(self._buckets) > MAX_REMEMBERED:
            self._buckets.popitem(last=False)
        return bucket


def _arrivals(conf: Conf) -> Bucket:
    limit = conf.max_connections_per_address
    return Bucket(PER_SECOND * limit, BURST * limit)


def _parsing(conf: Conf) -> Bucket:
    return Bucket(conf.processing_share, BURST_SECONDS * conf.max_connections_per_address)


shares = Shares()
"""The shares of this process; the service does not hold them, for the reason stated at ``deadlines``."""
