"""How often viewers may write: from one address, and all together in one process."""

from collections.abc import Hashable
from time import monotonic

from django.http import HttpRequest

from realtime.access.budgets import Budgets
from realtime.access.password_attempts import address_of


class Rate:
    """A rate for each address and a higher one for all. Refused requests do not count."""

    def __init__(self, per_second: float, at_once: int, in_total: int) -> None:
        """``in_total`` is how many times as much all addresses together may write as one."""
        self._addresses = Budgets(per_second, at_once, monotonic)
        self._all = Budgets(per_second * in_total, at_once * in_total, monotonic)

    def seconds_until_next(self, request: HttpRequest, board: Hashable) -> float:
        """Return in how many seconds the client may write again; count this time and return 0 if it may now."""
        address = address_of(request)
        seconds = max(self._addresses.seconds_until(address, 1), self._all.seconds_until(board, 1))
        if seconds <= 0:
            self._addresses.spend(address, 1)
            self._all.spend(board, 1)
        return seconds


messages = Rate(per_second=1 / 20, at_once=5, in_total=10)
reactions = Rate(per_second=1, at_once=30, in_total=20)
