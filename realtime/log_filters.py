"""Formatter and filters for ``LOGGING``: lines that clients cannot forge, and a limited number of each kind."""

import logging
import time
from typing import Any

from .databases.remedies import remedy
from .runtime.outages import is_outage

__all__ = ["ClientsFaults", "DatabaseFaults", "FewOfAKind", "FirstOfASeries", "Lines", "printable"]

SERIES_ENDS_SECONDS = 10.0
"""A series of similar records ends after this time without one."""
BURST = 100
PER_SECOND = 5.0
MAX_KINDS = 1000
MAX_CHARACTERS = 1000


class Lines(logging.Formatter):
    """Formats records so that only the first line of each begins at the margin: no client's text can forge one.

    Unprintable characters of a message are escaped, long messages are cut, lines of tracebacks are indented.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:
        line = printable(super().formatMessage(record))
        return line if len(line) <= MAX_CHARACTERS else f"{line[:MAX_CHARACTERS]}…"

    def formatException(self, error: Any) -> str:
        return "\n".join(f"  {printable(line)}" for line in super().formatException(error).split("\n"))


def printable(text: str) -> str:
    """Return one line of text that is safe to show in a terminal.

    Control characters, line ends of all kinds and changes of text direction are escaped, such as ``\\x1b``.
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


class ClientsFaults(logging.Filter):
    """Turns Django's records of invalid requests into warnings without a traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        is_refusal = record.name.startswith("django.security.")
        if is_refusal:
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        if is_refusal or (record.name == "django.request" and record.levelno < logging.ERROR):
            record.exc_info = record.exc_text = None
        return True


class DatabaseFaults(logging.Filter):
    """Replaces the traceback of an error that the code has not caused by its text, and by a remedy if one is known.

    A database that is away fails every page: each would be a traceback of a hundred lines. Stands after ``FewOfAKind``,
    which counts records by their message.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and is_outage(error):
            cure = remedy(error)
            message = record.getMessage()
            words = (
                ""
                if str(error) and str(error) in message
                else f"{type(error).__name__}: {error}".rstrip(": ")
            )
            record.msg, record.args = "; ".join(filter(None, (message, words, cure))), ()
            record.exc_info = record.exc_text = None
        return True


class FewOfAKind(logging.Filter):
    """Passes a hundred records of one kind, then five a second; the next one that passes states how many were dropped.

    A kind is a level and a message without its arguments, so clients cannot create kinds. The text of a message
    without arguments may contain values; its kind is the line of code that logs it.
    """

    def __init__(self) -> None:
        super().__init__()
        # By kind: how many may pass, the time of that number, and how many did not pass since.
        self._kinds: dict[object, tuple[float, float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        origin = str(record.msg) if record.args else (record.pathname, record.lineno)
        kind: object = (record.name, record.levelno, origin)
        if kind not in self._kinds and len(self._kinds) >= MAX_KINDS:
            kind = None  # shared by all further kinds
        now = time.monotonic()
        left, before, missed = self._kinds.get(kind, (BURST, now, 0))
        left = min(BURST, left + (now - before) * PER_SECOND)
        if left < 1:
            self._kinds[kind] = left, now, missed + 1
            return False
        self._kinds[kind] = left - 1, now, 0
        if missed:
            record.msg = f"(… {missed} more like this) {record.msg}"  # first, because long lines are cut
        return True


class FirstOfASeries(logging.Filter):
    """Passes the first of a series of records of one kind, as one line: its error replaces the traceback.

    A series ends after ten seconds without a record of the kind. For loggers of operations that are retried,
    such as the channel layer: one that is down causes a record with a traceback per second in each process.
    """

    def __init__(self) -> None:
        super().__init__()
        self._seen_at: dict[object, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        kind = (record.name, record.msg, type(error))
        now = time.monotonic()
        is_first = now - self._seen_at.get(kind, -SERIES_ENDS_SECONDS) >= SERIES_ENDS_SECONDS
        self._seen_at[kind] = now
        if error is not None:
            record.msg, record.args = f"{record.getMessage()}: {type(error).__name__}: {error}", ()
            record.exc_info = record.exc_text = None
        return is_first
