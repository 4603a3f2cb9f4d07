"""The rows that this process leaves out of what subscribers receive, each with the reason."""

import logging
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from . import metrics

logger = logging.getLogger("realtime.feeds")

MAX_KEPT = 1000
MAX_REASON_CHARACTERS = 300
_ADDRESS = re.compile(
    r" at 0x[0-9a-f]+"
)  # differs between objects, so that equal reasons would seem to differ


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row that is left out; ``topic`` is None where it is unknown."""

    topic: str | None
    reason: str


class LeftOutRows:
    """The rows that are left out now, by feed and key, at most ``MAX_KEPT``; the one instance is ``left_out``."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], LeftOut] = {}
        self._lock = threading.Lock()

    def note(self, feed: str, key: str, topic: str | None, error: Exception) -> None:
        """Add a row, and log it unless it is left out for the same reason already."""
        reason = reason_of(error)
        with self._lock:
            known = self._rows.get((feed, key))
            is_new = known is None or known.reason != reason
            is_full = known is None and len(self._rows) >= MAX_KEPT
            if not is_full:
                self._rows[feed, key] = LeftOut(topic, reason)
        if is_new:
            metrics.rows_left_out.labels(feed).inc()
        if is_new and not is_full:
            logger.error("feed %s leaves out row %r: %s", feed, key, reason, exc_info=error)

    def read(self, feed: str, topic: str, left_out: Iterable[str]) -> None:
        """Remove the rows of a topic that was read as a whole, except those that this reading has left out."""
        if self._rows:
            still = set(left_out)
            self._forget(
                lambda its_feed, key, row: its_feed == feed and row.topic == topic and key not in still
            )

    def shown(self, feed: str, keys: Iterable[str]) -> None:
        """Remove rows that could be read again, or that no longer exist."""
        if self._rows:
            gone = set(keys)
            self._forget(lambda its_feed, key, row: its_feed == feed and key in gone)

    def _forget(self, is_over: Callable[[str, str, LeftOut], bool]) -> None:
        with self._lock:
            for (feed, key), row in list(self._rows.items()):
                if is_over(feed, key, row):
                    del self._rows[feed, key]
                    logger.info("feed %s has row %r again", feed, key)

    def of_topic(self, topic: str) -> dict[str, str]:
        """Return the reasons for which rows of a topic are left out, by key."""
        with self._lock:
            return {key: row.reason for (_, key), row in self._rows.items() if row.topic == topic}

    def numbers(self) -> dict[str, int]:
        """Return for each feed how many rows are left out."""
        with self._lock:
            return dict(Counter(feed for feed, _ in self._rows))

    def reasons(self, feed: str) -> dict[str, str]:
        """Return the reasons for which rows of a feed are left out, by key."""
        with self._lock:
            return {key: row.reason for (its_feed, key), row in self._rows.items() if its_feed == feed}

    def clear(self) -> None:
        """Remove all rows."""
        with self._lock:
            self._rows.clear()


def reason_of(error: Exception) -> str:
    """Return the text of an error, without what differs each time that it occurs."""
    words = _ADDRESS.sub("", str(error))[:MAX_REASON_CHARACTERS]
    is_ours = type(error).__module__.startswith("realtime.rows.")
    return words if is_ours else f"{type(error).__name__}: {words}" if words else type(error).__name__


left_out = LeftOutRows()
