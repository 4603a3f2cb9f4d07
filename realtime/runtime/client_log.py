"""Log lines about clients: one line each, whatever a client sends."""

import logging
from typing import Any, Protocol

from django.db import Error as DatabaseError

SORRY = "the server could not do this now; try again"
"""What a client is told of a failure that is not its own."""


class Log(Protocol):
    """A connection's way to the log: level, words, values."""

    def __call__(self, level: int, words: str, *values: object) -> None: ...


def log_failure(log: Log, what: str, error: Exception) -> None:
    """Log what we could not do: a line for the database being away, a traceback for a fault of ours."""
    log(logging.ERROR, "%s failed: %s: %s", what, type(error).__name__, error)
    if not isinstance(error, DatabaseError):
        logging.getLogger("realtime.connection").error("%s", what, exc_info=error)


def client_of(scope: dict[str, Any]) -> str:
    """Return the client of an ASGI scope for the log, as its server names it."""
    return ":".join(map(str, scope.get("client") or ["?"]))


def one_line(value: object) -> object:
    """Return a value for the log; a text that could break or forge its lines is quoted."""
    return value if isinstance(value, int | float) or str(value).isprintable() else ascii(str(value))
