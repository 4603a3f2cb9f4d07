"""Arrivals: of the connections that one address opens too fast nothing is parsed for a moment.

A client may send a request and be gone before the answer, a thousand times a second: each would cost the server as much
as an answered one, and no place would bound their number.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable

from ..conf import get_conf
from ..engine.bucket import Bucket
from .deadlines import GRACE_SECONDS
from .inbound import Inbound

BURST, PER_SECOND = 10.0, 0.5
"""How many connections an address may open at once and in a second, for each that it may have open."""
HELD_SECONDS = 1.5 * GRACE_SECONDS
"""Longer than the grace of ``Deadlines``: of more than an address may have open, the oldest make room unparsed."""
MAX_REMEMBERED = 100_000
"""Addresses whose connections are counted; beyond that the least recently seen are forgotten."""


class Arrivals:
    """The connections of one process, counted by address as they arrive."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def admit(self, address: str | None, inbound: Inbound) -> None:
        """Count a new connection; hold back what it sends if its address opens too many. None: it has no limit."""
        if address is None or self._take(address):
            return
        inbound.hold("arrival")
        asyncio.get_running_loop().call_later(HELD_SECONDS, inbound.release, "arrival")

    def _take(self, address: str) -> bool:
        limit = get_conf().max_connections_per_address
        bucket = self._buckets.pop(address, None) or Bucket(PER_SECOND * limit, BURST * limit)
        self._buckets[address] = bucket
        if len(self._buckets) > MAX_REMEMBERED:
            self._buckets.popitem(last=False)
        return bucket.take(1, self._clock())


arrivals = Arrivals()
"""Those of this process; not held by the service, for the reason that ``deadlines`` has."""
