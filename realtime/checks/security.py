"""Checks of settings by which other sites or other users may gain access."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning


def check_hosts(**kwargs: Any) -> list[CheckMessage]:
    """For deployments: warn about a ``*`` in ALLOWED_HOSTS."""
    if "*" not in settings.ALLOWED_HOSTS:
        return []
    return [
        Warning(
            "ALLOWED_HOSTS contains '*': a page of any host name that resolves to this server counts as one of ours.",
            hint="Name the hosts: ALLOWED_HOSTS=live.example.com.",
            id="realtime.W003",
        )
    ]


def check_trusted_origins(**kwargs: Any) -> list[CheckMessage]:
    """Warn about a ``*`` that matches more than the subdomains of one domain."""
    wide = [
        origin
        for origin in settings.CSRF_TRUSTED_ORIGINS
        if "*" in origin and "." not in origin.partition("://*.")[2]
    ]
    return [
        Warning(
            f"CSRF_TRUSTED_ORIGINS contains {origin!r}, which matches sites of many owners.",
            hint="Write each origin in full, or the subdomains of one domain: https://*.example.com.",
            id="realtime.W004",
        )
        for origin in wide
    ]


def check_sessions(**kwargs: Any) -> list[CheckMessage]:
    if settings.SESSION_ENGINE != "django.contrib.sessions.backends.signed_cookies":
        return []
    return [
        Warning(
            "Sessions are stored only in cookies: the server cannot detect a logout, so open connections keep "
            "the rights of a user who has signed out.",
            hint="Use django.contrib.sessions.backends.db or cached_db.",
            id="realtime.W010",
        )
    ]


def check_passwords(**kwargs: Any) -> list[CheckMessage]:
    """For deployments: warn if passwords can be guessed; Django itself does not limit how often one is tried."""
    backend, middleware = (
        "realtime.backends.PasswordAttemptsBackend",
        "realtime.middleware.PasswordAttemptsMiddleware",
    )
    missing = []
    if settings.AUTHENTICATION_BACKENDS[:1] != [backend]:
        missing.append(
            f"{backend} is not the first of AUTHENTICATION_BACKENDS: passwords can be guessed without limit."
        )
    elif middleware not in settings.MIDDLEWARE:
        missing.append(
            f"{middleware} is not in MIDDLEWARE: no page says how long to wait after wrong passwords."
        )
    return [
        Warning(
            fault,
            hint="docs/operations.md has the settings of a project; silence this check if something else does it.",
            id="realtime.W013",
        )
        for fault in missing
    ]
