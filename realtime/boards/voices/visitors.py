"""Which browser reacts: a random number in a signed cookie, of which the database keeps a digest."""

import secrets

from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac

COOKIE = "visitor"
SALT = "realtime.boards.visitor"
COOKIE_SECONDS = 90 * 24 * 3600


def number_of(request: HttpRequest) -> str:
    """Return the number of a browser; "" if it has none, or one that this server has not signed."""
    return request.get_signed_cookie(COOKIE, default="", salt=SALT) or ""


def new_number() -> str:
    return secrets.token_urlsafe(16)


def digest_of(number: str) -> str:
    return salted_hmac(SALT, number, algorithm="sha256").hexdigest()


def keep_number(response: HttpResponse, request: HttpRequest, number: str) -> None:
    """Let the browser keep its number; no script can read it, and other sites do not cause it to be sent."""
    response.set_signed_cookie(
        COOKIE,
        number,
        salt=SALT,
        max_age=COOKIE_SECONDS,
        secure=request.is_secure(),
        httponly=True,
        samesite="Lax",
    )
