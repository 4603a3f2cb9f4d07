"""Password attempts: how often a wrong password may be tried for one name from one address, and from one address.

They are counted wherever Django's ``authenticate`` runs: the sign-in page, the admin, tickets, a project's own basic
authentication. ``realtime/backends.py`` refuses further attempts.
"""

from collections.abc import Callable
from contextvars import ContextVar
from math import ceil
from time import monotonic
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_login_failed
from django.http import HttpRequest

from ..engine.codes import Code
from ..engine.errors import RealtimeError
from ..runtime.addresses import client_address
from .budgets import Budgets

PER_SECOND, AT_ONCE = 0.2, 10
"""How many wrong passwords may be tried for one name from one address, and for all names from one address."""
NAME_PER_SECOND, NAME_AT_ONCE = 0.1, 100
"""How many wrong passwords may be tried for one name from all addresses before each counts for five."""
COST_UNDER_ATTACK = 5


class TooManyPasswords(RealtimeError):
    """Wrong passwords are tried in quick succession for one name or from one address."""

    code = Code.TOO_MUCH

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = ceil(seconds)

    def __str__(self) -> str:
        return f"Too many wrong passwords. Try again in {self.seconds} s."


class PasswordAttempts:
    """The recent wrong passwords in one process. Correct ones are not counted. Callable from any thread.

    A name is never locked: attempts from other addresses do not prevent its owner from signing in.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._pairs = Budgets(PER_SECOND, AT_ONCE, clock)
        self._addresses = Budgets(PER_SECOND, AT_ONCE, clock)
        self._names = Budgets(NAME_PER_SECOND, NAME_AT_ONCE, clock)

    def check(self, name: str, address: str | None) -> None:
        """Raises: TooManyPasswords, if no further password may be tried now."""
        seconds = max(
            self._pairs.seconds_until((name, address), 1), self._addresses.seconds_until(address, 1)
        )
        if seconds > 0:
            raise TooManyPasswords(seconds)

    def failed(self, name: str, address: str | None) -> None:
        """Count a wrong password. While a name is guessed from many addresses, each may try two instead of ten."""
        is_attacked = self._names.seconds_until(name, 1) > 0
        self._pairs.spend((name, address), COST_UNDER_ATTACK if is_attacked else 1)
        self._addresses.spend(address, 1)
        self._names.spend(name, 1)


attempts = PasswordAttempts()
"""The attempts in this process: sign-ins are checked in the threads of pages, which belong to no event loop."""

was_refused: ContextVar[bool] = ContextVar("was_refused", default=False)
"""Whether the current ``authenticate`` was refused before a password was checked: this counts as no wrong password."""


def address_of(request: HttpRequest | None) -> str | None:
    """Return the address for limits of one of Django's requests."""
    if request is None:
        return None
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    return client_address([forwarded], request.META.get("REMOTE_ADDR", ""))


def name_in(credentials: dict[str, Any]) -> str | None:
    """Return the name in the credentials of a sign-in; None if they hold no name and password."""
    name = credentials.get("username", credentials.get(get_user_model().USERNAME_FIELD))
    return None if name is None or credentials.get("password") is None else str(name)


def connect() -> None:
    """Count the wrong passwords that Django reports, whichever page or program sent them."""
    user_login_failed.connect(_count, dispatch_uid="realtime.password_attempts")


def _count(credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: object) -> None:
    name = name_in(credentials)
    if was_refused.get():
        was_refused.set(False)
    elif name is not None:
        attempts.failed(name, address_of(request))
