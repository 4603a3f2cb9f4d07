"""What keeps the log readable while something that is asked again and again is away."""

import logging
import time

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
        if error is not None:
            record.msg, record.args = f"{record.getMessage()}: {type(error).__name__}: {error}", ()
            record.exc_info = record.exc_text = None
        return is_first
