"""Slow feeds: feeds whose rows the sequencer does not read for a while, because other feeds would wait for them."""

import logging
import time
from collections.abc import Callable
from weakref import WeakKeyDictionary

from ..feeds import Feed
from ..runtime import metrics

logger = logging.getLogger("realtime.sequencer")

FIRST_PAUSE_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 300.0


class SlowFeeds:
    """The slow feeds of this process; its one instance is ``slow_feeds``.

    Each time that a feed is slow again after its pause, the pause doubles; once it is quick, it is forgotten.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # By feed: when the pause ends, and how long it is.
        self._pauses: WeakKeyDictionary[Feed, tuple[float, float]] = WeakKeyDictionary()

    def __contains__(self, feed: Feed) -> bool:
        """Return whether the feed is in its pause."""
        ends, _ = self._pauses.get(feed, (0.0, 0.0))
        return self._clock() < ends

    def names(self) -> list[str]:
        """Return the names of the feeds that were slow when last asked."""
        return sorted(feed.name for feed in list(self._pauses))

    def note(self, feed: Feed, seconds: float, work: str) -> None:
        """Begin a pause; ``work`` names the step that took so many seconds."""
        _, before = self._pauses.get(feed, (0.0, 0.0))
        pause = min(before * 2, LONGEST_PAUSE_SECONDS) or FIRST_PAUSE_SECONDS
        self._pauses[feed] = self._clock() + pause, pause
        metrics.slow_rounds.labels(feed.name).inc()
        logger.warning(
            "feed %s is slow: %s took more than %.2f s; for %.0f s its changed topics are read apart",
            feed.name, work, seconds, pause,
        )  # fmt: skip

    def note_quick(self, feed: Feed) -> None:
        if self._pauses.pop(feed, None) is not None:
            logger.info("feed %s is quick again", feed.name)


slow_feeds = SlowFeeds()
