"""Limits: how many connections and calls this process serves at once, in total and for each client."""

import random
from collections import Counter
from collections.abc import Hashable
from typing import Self

from ..conf import get_conf
from ..engine.codes import Code
from ..engine.errors import RealtimeError
from ..engine.session import Ending
from ..servers.open_files import max_places
from .visitors import Visitor

RETRY_SECONDS = 30.0
"""A refused client may try again after a random delay between half of this and all of it."""

_LIMITS = {
    "server": ("max_connections", 1, "connections of this server"),
    "address": ("max_connections_per_address", 1, "connections of one address"),
    "session": ("max_connections_per_session", 1, "connections of one session"),
    "user": ("max_connections_per_user", 1, "connections of one user"),
    "calls": ("max_calls", 1, "calls at once at this server"),
    "caller": ("max_calls_per_caller", 1, "calls at once of one client"),
    "passwords": ("max_passwords", 1, "passwords checked at once by this server"),
    "guesser": ("max_passwords", 2, "passwords checked at once for one address"),
}
"""A kind of thing that is counted: the setting that limits it, the divisor of that setting, and its name in errors."""


class TooMuch(RealtimeError):
    """A client is over a limit; it may try again later."""

    code = Code.TOO_MUCH

    def __init__(self, limit: int, what: str) -> None:
        super().__init__(limit, what)
        self.limit, self.what = limit, what

    def __str__(self) -> str:
        return f"no more than {self.limit} {self.what}; close some, or try again later"


def ending_of(error: RealtimeError) -> Ending:
    """Return the ending of a refused connection; one that is over a limit may reconnect after a delay."""
    return Ending(error.code, str(error), retry_after_seconds() if error.code == Code.TOO_MUCH else None)


def retry_after_seconds() -> float:
    return round(random.uniform(RETRY_SECONDS / 2, RETRY_SECONDS), 1)


class Places:
    """The places in use in one process and event loop, counted by kind and owner. A place is one unit of a limit."""

    def __init__(self) -> None:
        self._in_use: Counter[tuple[str, Hashable]] = Counter()

    def enter(self, address: str | None, visitor: Visitor) -> "Place":
        """Return a connection's place. Costs no query: its user is counted later (``Place.count_for``).

        Raises: TooMuch.
        """
        return Place(self._in_use, server="all", address=address, session=visitor.session)

    def in_use_by(self, kind: str) -> dict[str, int]:
        """Return how many places each owner of a kind has now, for instance each "address"."""
        return {str(owner): number for (of, owner), number in self._in_use.items() if of == kind}

    def one(self, kind: str) -> "Place":
        """Return a place of a kind, for instance "calls"; ``Place.count_for`` counts its owner when that is known.

        Raises: TooMuch.
        """
        return Place(self._in_use, **{kind: "all"})


class Place:
    """A place in use until ``leave``; as a context manager, until the end of the block."""

    __slots__ = ("_counted", "_in_use")

    def __init__(self, in_use: Counter[tuple[str, Hashable]], **owners: Hashable) -> None:
        self._in_use = in_use
        self._counted: list[tuple[str, Hashable]] = []
        try:
            for kind, owner in owners.items():
                self.count_for(kind, owner)
        except TooMuch:
            self.leave()
            raise

    def count_for(self, kind: str, owner: Hashable) -> None:
        """Count the place for an owner too, once. None stands for an unknown owner and has no limit.

        Raises: TooMuch.
        """
        key = (kind, owner)
        if owner is None or key in self._counted:
            return
        setting, parts, what = _LIMITS[kind]
        limit = max_places() if kind == "server" else -(-getattr(get_conf(), setting) // parts)
        if self._in_use[key] >= limit:
            raise TooMuch(limit, what)
        self._in_use[key] += 1
        self._counted.append(key)

    def leave(self) -> None:
        """Make room. Safe to call twice."""
        while self._counted:
            key = self._counted.pop()
            self._in_use[key] -= 1
            if not self._in_use[key]:
                del self._in_use[key]  # otherwise an entry would stay for each address ever seen

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.leave()
