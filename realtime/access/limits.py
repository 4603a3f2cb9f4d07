"""Limits: how many connections and calls there may be at once, in this process and of each who makes them."""

import ipaddress
import random
from collections import Counter
from typing import Any

from ..conf import get_conf
from ..engine.codes import Code
from ..engine.errors import RealtimeError
from ..engine.session import Ending
from . import origins as auth
from .visitors import Visitor

RETRY_SECONDS = 30.0
"""Whoever is turned away is told to come back after half to all of this."""

_LIMITS = {
    "server": ("max_connections", "connections of this server"),
    "address": ("max_connections_per_address", "connections of one address"),
    "session": ("max_connections_per_session", "connections of one session"),
    "user": ("max_connections_per_user", "connections of one user"),
    "calls": ("max_calls", "calls at once at this server"),
    "caller": ("max_calls_per_caller", "calls at once of one client"),
    "passwords": ("max_passwords", "passwords looked at at once by this server"),
}
"""What is counted: the setting that limits it, and what it is called."""


class TooMuch(RealtimeError):
    """Somebody is over a limit, and may come back when there is room."""

    code = Code.TOO_MUCH

    def __init__(self, limit: int, what: str) -> None:
        super().__init__(limit, what)
        self.limit, self.what = limit, what

    def __str__(self) -> str:
        return f"no more than {self.limit} {self.what}; close some, or come back later"


def turned_away(error: RealtimeError) -> Ending:
    """Return the ending of a connection that is not let in; one for which there is no room may come back later."""
    return Ending(error.code, str(error), retry_after_seconds() if error.code == Code.TOO_MUCH else None)


def retry_after_seconds() -> float:
    return round(random.uniform(RETRY_SECONDS / 2, RETRY_SECONDS), 1)


class Places:
    """What is taken now, by kind and by whose it is. Of one process and event loop."""

    def __init__(self) -> None:
        self._taken: Counter[tuple[str, Any]] = Counter()

    def enter(self, address: str | None, visitor: Visitor) -> "Place":
        """Return a connection's place. Costs no query: whose user it is is found out later (``take``).

        Raises: TooMuch.
        """
        return Place(self._taken, server="all", address=address, session=visitor.session)

    def one(self, kind: str) -> "Place":
        """Return a place among all of a kind, "calls" for instance; whose it is is taken when that is known.

        Raises: TooMuch.
        """
        return Place(self._taken, **{kind: "all"})


class Place:
    """One of those that are counted, until ``leave``; a context manager leaves at its end."""

    __slots__ = ("_held", "_taken")

    def __init__(self, taken: Counter[tuple[str, Any]], **whose: Any) -> None:
        self._taken = taken
        self._held: list[tuple[str, Any]] = []
        try:
            for kind, owner in whose.items():
                self.take(kind, owner)
        except TooMuch:
            self.leave()
            raise

    def take(self, kind: str, owner: Any) -> None:
        """Count it among those of an owner too, once; None is nobody, who has no limit.

        Raises: TooMuch.
        """
        key = (kind, owner)
        if owner is None or key in self._held:
            return
        setting, what = _LIMITS[kind]
        limit = getattr(get_conf(), setting)
        if self._taken[key] >= limit:
            raise TooMuch(limit, what)
        self._taken[key] += 1
        self._held.append(key)

    def leave(self) -> None:
        while self._held:
            key = self._held.pop()
            self._taken[key] -= 1
            if not self._taken[key]:
                del self._taken[key]  # addresses come and go

    def __enter__(self) -> "Place":
        return self

    def __exit__(self, *error: object) -> None:
        self.leave()


def address_of(scope: auth.Scope) -> str | None:
    """Return whose a connection is by its address, None where that is not known (a unix socket).

    Of IPv6 the network, as whoever has one address there has 2**64. Behind proxies it is the address that the
    outermost of them has seen: the header's others are the client's own words.
    """
    candidates = [(scope.get("client") or [""])[0]]
    proxies = get_conf().proxies
    if proxies > 0:
        headers = (value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for")
        forwarded = ",".join(headers).split(",")
        candidates.insert(0, forwarded[-min(proxies, len(forwarded))].strip())
    return next(filter(None, map(_network, candidates)), None)


def _network(address: str) -> str | None:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    if parsed.version == 4:
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))
