"""Slow feeds: feeds whose rows the sequencer does not read, because other feeds would wait for them.

After a pause the rows are read in a thread apart from the rounds, to find out whether the feed is quick again.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from ..feeds import Feed
from ..runtime import metrics
from .outbox_records import Image

logger = logging.getLogger("realtime.sequencer")

FIRST_PAUSE_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 300.0

Images = Mapping[str, Sequence[Image]]


class SlowFeeds:
    """The slow feeds of this process; its one instance is ``slow_feeds``.

    Each time that a feed is slow again after its pause, the pause doubles; once it is quick, it is forgotten.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # By feed: when the pause ends, which is not known during a trial, and how long it is.
        self._pauses: WeakKeyDictionary[Feed, tuple[float, float]] = WeakKeyDictionary()
        self._to_try: WeakKeyDictionary[Feed, Images] = WeakKeyDictionary()

    def __contains__(self, feed: Feed) -> bool:
        return feed in self._pauses

    def keep(self, feed: Feed, images: Images) -> None:
        """Keep changed rows of a slow feed, by table, to try it with them, if its pause is over."""
        ends, _ = self._pauses[feed]
        if self._clock() >= ends:
            self._to_try[feed] = images

    def take_to_try(self) -> list[tuple[Feed, Images]]:
        """Return the feeds that are to be tried, each with changed rows; for each of them call ``trial``."""
        feeds = list(self._to_try.items())
        self._to_try.clear()
        for feed, _ in feeds:
            self._pauses[feed] = math.inf, self._pauses[feed][1]
        return feeds

    @contextmanager
    def trial(self, feed: Feed) -> Iterator[None]:
        """Return a block that tries a feed.

        A feed that is not slow in it is quick again; if the block fails, the pause begins anew.
        """
        try:
            yield
        except BaseException:
            pause = self._pauses[feed][1]
            self._pauses[feed] = self._clock() + pause, pause
            raise
        if self._pauses[feed][0] == math.inf:
            del self._pauses[feed]
            logger.info("feed %s is quick again", feed.name)

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


slow_feeds = SlowFeeds()
