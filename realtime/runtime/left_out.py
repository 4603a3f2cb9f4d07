"""The rows that this process sends to no subscriber, because they fail, each with the reason."""

import logging
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from . import metrics
from .failures import text_of

logger = logging.getLogger("realtime.feeds")

MAX_KEPT = 1000
MAX_REASON_CHARACTERS = 300
READ_IN = (None, "rows", "html")
"""In which formats rows are read: all at once, or one of them."""
# Differs between objects, so that equal reasons would seem to differ.
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row that is left out; ``topic`` is None where it is unknown."""

    topic: str | None
    reason: str


class LeftOutRows:
    """The rows that are left out now, at most ``MAX_KEPT``; the one instance is ``left_out``.

    The key is feed, primary key and the format in which the row was read, None for all formats: a row that fails in one
    format stays left out although another format shows it.
    """

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str, str | None], LeftOut] = {}
        self._lock = threading.Lock()

    def note(
        self, feed: str, key: str, topic: str | None, error: Exception, format: str | None = None
    ) -> None:
        """Add a row, and log it unless it is left out for the same reason already."""
        reason = reason_of(error)
        with self._lock:
            known = [self._rows.get((feed, key, each)) for each in READ_IN]
            is_new = reason not in {row.reason for row in known if row is not None}
            is_full = (feed, key, format) not in self._rows and len(self._rows) >= MAX_KEPT
            if not is_full:
                self._rows[feed, key, format] = LeftOut(topic, reason)
        if is_new:
            metrics.rows_left_out.labels(feed).inc()
        if is_new and not is_full:
            logger.error("feed %s leaves out row %r: %s", feed, key, reason, exc_info=error)

    def read(self, feed: str, topic: str, left_out: Iterable[str], format: str | None = None) -> None:
        """Remove the rows of a topic that was read as a whole, except those that this reading has left out."""
        if self._rows:
            still = set(left_out)
            self._forget(feed, format, lambda key, row: row.topic == topic and key not in still)

    def shown(self, feed: str, keys: Iterable[str], format: str | None = None) -> None:
        """Remove rows that could be read again, or that no longer exist."""
        if self._rows:
            gone = set(keys)
            self._forget(feed, format, lambda key, row: key in gone)

    def _forget(self, feed: str, format: str | None, is_over: Callable[[str, LeftOut], bool]) -> None:
        """Remove rows that a reading has found; a reading in all formats counts for each format."""
        with self._lock:
            for (its_feed, key, its_format), row in list(self._rows.items()):
                if its_feed == feed and format in (None, its_format) and is_over(key, row):
                    del self._rows[feed, key, its_format]
                    logger.info("feed %s has row %r again", feed, key)

    def of_topic(self, topic: str) -> dict[str, str]:
        """Return the reasons for which rows of a topic are left out, by key."""
        with self._lock:
            return {key: row.reason for (_, key, _), row in self._rows.items() if row.topic == topic}

    def numbers(self) -> dict[str, int]:
        """Return for each feed how many rows are left out."""
        with self._lock:
            return dict(Counter(feed for feed, _ in {(feed, key) for feed, key, _ in self._rows}))

    def reasons(self, feed: str) -> dict[str, str]:
        """Return the reasons for which rows of a feed are left out, by key."""
        with self._lock:
            return {key: row.reason for (its_feed, key, _), row in self._rows.items() if its_feed == feed}

    def clear(self) -> None:
        """Remove all rows."""
        with self._lock:
            self._rows.clear()


def reason_of(error: Exception) -> str:
    """Return the text of an error, without parts that differ between occurrences, such as addresses of objects."""
    words = _ADDRESS.sub("", text_of(error))[:MAX_REASON_CHARACTERS]
    is_ours = type(error).__module__.startswith("realtime.rows.")
    return words if is_ours else f"{type(error).__name__}: {words}" if words else type(error).__name__


left_out = LeftOutRows()
