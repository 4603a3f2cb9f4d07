"""Slow feeds: feeds whose rows the sequencer does not read, because other feeds would wait for them.

After a pause, rows that changed lately are read apart from the rounds, to find out whether the feed is quick again.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

from ..feeds import Feed
from ..runtime import metrics
from .outbox_records import Image

logger = logging.getLogger("realtime.sequencer")

FIRST_PAUSE_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 300.0
TRIED_ROWS = 50
"""How many changed rows of each table a feed is tried with, at most."""

Images = Mapping[str, Sequence[Image]]


@dataclass(frozen=True, slots=True)
class _Pause:
    """The pause of one feed.

    Units: ``seconds`` is its length; ``ends`` is infinite during a trial, and then when the trial has ended.
    Shape: ``images`` has rows that changed lately, the newest first; None after a trial in which the feed was quick.
    """

    seconds: float
    ends: float
    images: Images | None


class SlowFeeds:
    """The slow feeds of this process; its one instance is ``slow_feeds``.

    Each time that a feed is slow again, the pause doubles. A feed that may be quick for some rows alone is forgotten
    when it has been quick for as long as its pause was.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pauses: WeakKeyDictionary[Feed, _Pause] = WeakKeyDictionary()
        self._lock = threading.Lock()  # trials have threads of their own

    def __contains__(self, feed: Feed) -> bool:
        pause = self._pauses.get(feed)
        return pause is not None and pause.images is not None

    def note(self, feed: Feed, seconds: float, work: str, images: Images) -> None:
        """Begin a pause; ``work`` names the step that took so many seconds, for changed rows given by table."""
        with self._lock:
            before, now = self._pauses.get(feed), self._clock()
            is_again = before is not None and (
                before.images is not None or now < before.ends + before.seconds
            )
            pause = (
                min(before.seconds * 2, LONGEST_PAUSE_SECONDS) if before and is_again else FIRST_PAUSE_SECONDS
            )
            self._pauses[feed] = _Pause(pause, now + pause, _newest(images, {}))
        metrics.slow_rounds.labels(feed.name).inc()
        logger.warning(
            "feed %s is slow: %s took more than %.2f s; for %.0f s its changed topics are read apart",
            feed.name, work, seconds, pause,
        )  # fmt: skip

    def keep(self, feed: Feed, images: Images) -> None:
        """Keep changed rows of a slow feed, given by table, for its next trial: older ones may have ceased to exist."""
        with self._lock:
            pause = self._pauses[feed]
            if pause.images is not None:
                self._pauses[feed] = replace(pause, images=_newest(images, pause.images))

    def take_to_try(self) -> list[tuple[Feed, Images]]:
        """Return the feeds whose pause is over, each with changed rows; call ``end_trial`` for each."""
        found: list[tuple[Feed, Images]] = []
        with self._lock:
            for feed, pause in list(self._pauses.items()):
                if pause.images is not None and pause.ends <= self._clock():
                    self._pauses[feed] = replace(pause, ends=math.inf)
                    found.append((feed, pause.images))
        return found

    def end_trial(self, feed: Feed, *, is_quick: bool) -> None:
        """End a trial, unless the feed was noted in it: if it does not show that it is quick, it pauses again."""
        with self._lock:
            pause, now = self._pauses[feed], self._clock()
            if pause.ends < math.inf:
                return
            if is_quick:
                self._pauses[feed] = replace(pause, ends=now, images=None)
            else:
                self._pauses[feed] = replace(pause, ends=now + pause.seconds)
        if is_quick:
            logger.info("feed %s is quick again", feed.name)


def _newest(images: Images, before: Images) -> Images:
    """Return the newest images of each table."""
    return {
        table: [*images.get(table, ()), *before.get(table, ())][:TRIED_ROWS]
        for table in images.keys() | before.keys()
    }


slow_feeds = SlowFeeds()
