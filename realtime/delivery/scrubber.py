"""The scrubber: reads held topics again, in rotation, although nothing is known to have changed.

This corrects what triggers cannot record: a condition on the time, a relation that ``depends_on`` does not name, a
trigger that was disabled. Changes that the log has are left to the log.
"""

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping

from ..conf import get_conf
from ..engine.position import Position
from ..feeds import registry
from .shared_topic import SharedTopic

REST_SECONDS = 1.0
"""The longest pause between two looks for a topic that is due."""


class Scrubber:
    """Scrubs the topics of one process.

    A topic whose feed has ``refresh_seconds`` is read at that interval, which is promised. Other topics are read every
    ``scrub_seconds``, or less often where that would take more than ``scrub_share`` of a core.
    """

    def __init__(self, topics: Callable[[], Iterable[SharedTopic]], reached: Callable[[], Position]) -> None:
        """``reached`` returns up to where the log was read for all topics."""
        self._topics, self._reached = topics, reached
        self._rests_until = 0.0
        self._refreshes: set[asyncio.Task[None]] = set()

    async def scrub_next(self) -> None:
        """Read the topics that are due, and wait for the next."""
        now = asyncio.get_running_loop().time()
        conf, topics = get_conf(), list(self._topics())
        intervals = {feed.name: feed.refresh_seconds for feed in registry if feed.refresh_seconds is not None}
        next_at = self._refresh_due(topics, intervals, now) if intervals else now + REST_SECONDS
        if conf.scrub_share > 0:
            # The time first: whether a topic can be scrubbed costs ten times as much, and only few are due.
            read_by = now - conf.scrub_seconds if now >= self._rests_until else -math.inf
            others = [shared for shared in topics if shared.feed not in intervals]
            due = [shared for shared in others if shared.read_at <= read_by and shared.can_be_scrubbed]
            if due:
                await min(due, key=lambda shared: shared.read_at).scrub(self._reached(), is_expected=False)
                ended = asyncio.get_running_loop().time()
                self._rests_until = ended + (ended - now) * (1 / conf.scrub_share - 1)
                return
            oldest = min((shared.read_at for shared in others if shared.read_at > read_by), default=now)
            next_at = min(next_at, max(oldest + conf.scrub_seconds, self._rests_until))
        await asyncio.sleep(next_at - now)

    def _refresh_due(
        self, topics: Iterable[SharedTopic], intervals: Mapping[str, float], now: float
    ) -> float:
        """Begin to read the topics whose interval is over; return when to look for further ones."""
        next_at = now + REST_SECONDS
        for shared in topics:
            seconds = intervals.get(shared.feed)
            if seconds is None or not shared.can_be_scrubbed:
                continue
            if shared.read_at + seconds <= now:
                self._refresh(shared)
            else:
                next_at = min(next_at, shared.read_at + seconds)
        return next_at

    def _refresh(self, shared: SharedTopic) -> None:
        task = asyncio.create_task(
            shared.scrub(self._reached(), is_expected=True), name=f"realtime-scrub-{shared.name}"
        )
        self._refreshes.add(task)
        task.add_done_callback(self._refreshes.discard)
