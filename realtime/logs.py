"""What keeps the log readable: one line for what a client or an outage can cause, and no row of them."""

import logging
import time
from typing import Protocol

from django.db import Error as DatabaseError

ROW_ENDS_SECONDS = 10.0


class FirstOfARow(logging.Filter):
    """Passes the first of a row of records of one kind, as one line: its error in place of a traceback.

    A row ends when none of the kind has come for ten seconds. For loggers of what is tried again by itself,
    such as the channel layer: a layer that is away says so once a second in each process, at length.
    """

    def __init__(self) -> None:
        super().__init__()
        self._came_at: dict[object, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        kind = (record.name, record.msg, type(error))
        now = time.monotonic()
        is_first = now - self._came_at.get(kind, -ROW_ENDS_SECONDS) >= ROW_ENDS_SECONDS
        self._came_at[kind] = now
        _in_one_line(record)
        return is_first


class ClientsFault(logging.Filter):
    """Makes one line of what a client alone can have caused: a host that is not ours, a form that is none.

    For ``django.request``, whose errors are faults of ours, and for ``django.security``, where even they are not.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.ERROR or record.name.startswith("django.security."):
            _in_one_line(record)
        return True


def _in_one_line(record: logging.LogRecord) -> None:
    """Put a record's error into its words in place of the traceback, unless they say it already."""
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return
    words = record.getMessage()
    if str(error) not in words:
        words = f"{words}: {type(error).__name__}: {error}"
    record.msg, record.args = str(one_line(words)), ()
    record.exc_info = record.exc_text = None


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


def one_line(value: object) -> object:
    """Return a value for the log; a text that could break or forge its lines is quoted."""
    return value if isinstance(value, int | float) or str(value).isprintable() else ascii(str(value))
