"""The scrubber: reads held topics again, in rotation, although nothing is known to have changed.

This corrects what triggers cannot record: a condition on the time, a relation that ``depends_on`` does not name, a
trigger that was disabled. Changes that the log has are left to the log.
"""

import asyncio
from collections.abc import Callable, Iterable

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
        next_at = now + REST_SECONDS
        oldest: SharedTopic | None = None
        for shared in list(self._topics()):
            if not shared.can_be_scrubbed:
                continue
            seconds = _refresh_seconds(shared)
            if seconds is None:
                if oldest is None or shared.read_at < oldest.read_at:
                    oldest = shared
            elif shared.read_at + seconds <= now:
                self._refresh(shared)
            else:
                next_at = min(next_at, shared.read_at + seconds)
        conf = get_conf()
        if oldest is not None and conf.scrub_share > 0:
            due_at = max(oldest.read_at + conf.scrub_seconds, self._rests_until)
            if due_at <= now:
                await oldest.scrub(self._reached(), is_expected=False)
                ended = asyncio.get_running_loop().time()
                self._rests_until = ended + (ended - now) * (1 / conf.scrub_share - 1)
                return
            next_at = min(next_at, due_at)
        await asyncio.sleep(next_at - now)

    def _refresh(self, shared: SharedTopic) -> None:
        task = asyncio.create_task(
            shared.scrub(self._reached(), is_expected=True), name=f"realtime-scrub-{shared.name}"
        )
        self._refreshes.add(task)
        task.add_done_callback(self._refreshes.discard)


def _refresh_seconds(shared: SharedTopic) -> float | None:
    return registry[shared.feed].refresh_seconds if shared.feed in registry else None
