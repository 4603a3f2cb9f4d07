"""What keeps the log readable: one line for what a client or an outage can cause, and no flood of them."""

import logging
import time

ROW_ENDS_SECONDS = 10.0
BURST = 100
PER_SECOND = 5.0
MAX_KINDS = 1000
MAX_CHARACTERS = 1000


class Lines(logging.Formatter):
    """A record begins at the margin, and nothing else does: what a client sent cannot forge one.

    Whatever is not printable in a message is escaped, what is too long is cut; a traceback's lines are indented.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:
        line = _printable(super().formatMessage(record))
        return line if len(line) <= MAX_CHARACTERS else f"{line[:MAX_CHARACTERS]}…"

    def formatException(self, error) -> str:
        return "\n".join(f"  {_printable(line)}" for line in super().formatException(error).split("\n"))


def _printable(text: str) -> str:
    """Return a text whose control characters, line ends of all kinds and changes of direction are escaped."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


class ClientsFaults(logging.Filter):
    """Makes a warning without a traceback of what Django logs of a request that a client got wrong."""

    def filter(self, record: logging.LogRecord) -> bool:
        is_refusal = record.name.startswith("django.security.")
        if is_refusal:
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        if is_refusal or (record.name == "django.request" and record.levelno < logging.ERROR):
            record.exc_info = record.exc_text = None
        return True


class FewOfAKind(logging.Filter):
    """Passes a hundred records of one kind, then five a second; the next that passes says how many did not.

    A kind is a message without its values, at its level: what clients send makes no kinds. A message without
    values may have them inside; its kind is the line of code that logs it.
    """

    def __init__(self) -> None:
        super().__init__()
        # How many may pass, as of when, and how many did not.
        self._kinds: dict[object, tuple[float, float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        words = str(record.msg) if record.args else (record.pathname, record.lineno)
        kind: object = (record.name, record.levelno, words)
        if kind not in self._kinds and len(self._kinds) >= MAX_KINDS:
            kind = None  # all others together
        now = time.monotonic()
        left, before, missed = self._kinds.get(kind, (BURST, now, 0))
        left = min(BURST, left + (now - before) * PER_SECOND)
        if left < 1:
            self._kinds[kind] = left, now, missed + 1
            return False
        self._kinds[kind] = left - 1, now, 0
        if missed:
            record.msg = f"(… {missed} more like this) {record.msg}"  # in front: long lines are cut
        return True


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
        if error is not None:
            record.msg, record.args = f"{record.getMessage()}: {type(error).__name__}: {error}", ()
            record.exc_info = record.exc_text = None
        return is_first
