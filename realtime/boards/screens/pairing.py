"""Pairing: a screen shows a code, an editor types it once, and from then on the screen is run from the desk.

A code is valid for ten minutes and for one screen. The screen's browser keeps a token in a cookie that no script can
read; the database has its digest.
"""

import hashlib
import secrets
import time
from collections.abc import Callable
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import Count, Min
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from realtime.access.budgets import Budgets
from realtime.access.password_attempts import address_of
from realtime.databases.base import is_storable

from .models import Screen

COOKIE = "screen"
COOKIE_SECONDS = 400 * 24 * 3600
"""As long as browsers allow; each view of a screen renews it."""
CHARACTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""None that looks like another one from across a room."""
LENGTH = 6
VALID = timedelta(minutes=10)
FORGOTTEN_AFTER = timedelta(hours=1)
"""After its code has expired, a screen that no editor has paired is deleted."""
MAX_WAITING, MAX_WAITING_PER_ADDRESS = 1000, 50
WRONG_PER_SECOND, WRONG_AT_ONCE = 1 / 30, 10
"""Wrong codes of one editor, and from one address."""
ATTEMPTS = 5


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def screen_of(request: HttpRequest) -> Screen | None:
    """Return the screen whose token the browser has."""
    token = request.COOKIES.get(COOKIE, "")
    return Screen.objects.filter(token_digest=digest(token)).first() if token.isascii() and token else None


def new_screen(request: HttpRequest) -> tuple[Screen, str]:
    """Return a new screen that waits for its code, and its token.

    If the largest number waits already, it replaces the oldest, whose page is refused its topic and gets a new code.
    """
    address = address_of(request) or ""
    token = secrets.token_urlsafe(32)
    with transaction.atomic():
        screen = Screen(pk=replaced(address), token_digest=digest(token), address=address)
        renew_code(screen)
    return screen, token


def replaced(address: str) -> int | None:
    """Return the key of the waiting screen to replace, locked; None if neither the address nor all have too many.

    It is the one that has waited longest: of this address, or of the one with the most.
    """
    waiting = Screen.objects.filter(name="")
    if waiting.filter(address=address).count() < MAX_WAITING_PER_ADDRESS:
        if waiting.count() < MAX_WAITING:
            return None
        by_number = waiting.values("address").annotate(number=Count("pk"), since=Min("code_until"))
        address = by_number.order_by("-number", "since").values_list("address", flat=True)[0]
    # One that an editor is pairing now is locked.
    oldest = waiting.filter(address=address).select_for_update(skip_locked=True).order_by("code_until", "pk")
    return oldest.values_list("pk", flat=True).first()


def renew_code(screen: Screen) -> None:
    """Save a screen that waits with a new code; one that an editor has paired meanwhile becomes what it is now."""
    for attempt in range(ATTEMPTS):
        screen.code = "".join(secrets.choice(CHARACTERS) for _ in range(LENGTH))
        screen.code_until = timezone.now() + VALID
        try:
            with transaction.atomic():
                present = Screen.objects.select_for_update().filter(pk=screen.pk).first()
                if present is None or present.is_waiting:
                    screen.save()
                else:
                    screen.refresh_from_db()
            return
        except IntegrityError:  # another screen has this code
            if attempt == ATTEMPTS - 1:
                raise


def keep_token(response: HttpResponse, request: HttpRequest, token: str) -> None:
    """Let the browser keep the token, for the page of screens only."""
    response.set_cookie(
        COOKIE,
        token,
        max_age=COOKIE_SECONDS,
        path=reverse("boards:screen"),
        secure=request.is_secure(),
        httponly=True,
        samesite="Lax",
    )


def normalized(typed: str) -> str:
    """Return a code as it is stored, however it was typed: ``abc-234`` is ``ABC234``."""
    return "".join(character for character in typed.upper() if character.isalnum())


class WrongCodes:
    """The recent wrong codes in one process, by editor and by address. Right ones do not count."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._budgets = Budgets(WRONG_PER_SECOND, WRONG_AT_ONCE, clock)

    def seconds_until_next(self, request: HttpRequest) -> float:
        """Return in how many seconds another code may be tried; 0 if at once."""
        return max(self._budgets.seconds_until(owner, 1) for owner in self._owners(request))

    def count(self, request: HttpRequest) -> None:
        for owner in self._owners(request):
            self._budgets.spend(owner, 1)

    def _owners(self, request: HttpRequest) -> list[tuple[str, object]]:
        address = address_of(request)
        return [("user", request.user.pk), *([("address", address)] if address else [])]


wrong_codes = WrongCodes()


def waiting_for(typed: str) -> Screen | None:
    """Return the screen that shows this code, locked until the transaction ends."""
    code = normalized(typed)
    if len(code) != LENGTH or not is_storable(code):
        return None
    screen = Screen.objects.select_for_update().filter(code=code, name="").first()
    return screen if screen is not None and screen.has_code(timezone.now()) else None


def remove_forgotten() -> None:
    """Delete the screens whose codes expired long ago."""
    forgotten = Screen.objects.filter(name="", code_until__lt=timezone.now() - FORGOTTEN_AFTER)
    # Read first: on SQLite even a statement that writes nothing makes other writers wait.
    if keys := [*forgotten.values_list("pk", flat=True)]:
        Screen.objects.filter(pk__in=keys, name="").delete()
