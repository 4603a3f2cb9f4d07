"""Topic reads: the rows of topics are read in threads of their own, of which each feed has its share.

So a feed whose queries take seconds delays its own topics, and neither those of others nor what the reader threads
do (``service.py``).
"""

import asyncio
import logging
import time

from ..feeds import registry
from ..publishing.positions import Reading, read_topic
from ..runtime.threads import DatabaseThreads

logger = logging.getLogger("realtime.hub")

SLOW_SECONDS = 1.0
"""A feed is slow from a read that took longer on, until one takes less."""


class TopicReads:
    """Reads of one process."""

    def __init__(self, threads: DatabaseThreads, size: int) -> None:
        """``size`` is the number of the threads."""
        self._threads = threads
        self._share = max(1, size // 2)
        self._shares: dict[str, asyncio.Semaphore] = {}
        self._slow_share = asyncio.Semaphore(1)
        self.slow: dict[str, float] = {}
        """The feeds that are slow, and the seconds that their last read took."""
        self._tasks: set[asyncio.Task[Reading]] = set()

    async def read(self, topic: str) -> Reading:
        """Return the rows of a topic, when its feed's share has room.

        Raises: UnknownTopic, and whatever reading the rows raises.
        """
        # A task of its own: the share is in use until the thread has finished, even if the subscriber is gone.
        task = asyncio.create_task(self._read(topic), name=f"realtime-read-{topic}")
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    def _finished(self, task: asyncio.Task[Reading]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # marks it as retrieved: the subscriber may be gone

    async def _read(self, topic: str) -> Reading:
        feed = registry.find(topic)[0].name
        while True:
            share = self._share_of(feed)
            async with share:
                if share is not self._share_of(feed):  # its speed has changed while this waited
                    continue
                took: list[float] = []
                try:
                    return await self._threads.run(_timed, topic, took)
                finally:
                    self._note(feed, *took)

    def _share_of(self, feed: str) -> asyncio.Semaphore:
        if feed in self.slow:
            return self._slow_share
        return self._shares.setdefault(feed, asyncio.Semaphore(self._share))

    def _note(self, feed: str, seconds: float = 0.0) -> None:
        if seconds <= SLOW_SECONDS:
            self.slow.pop(feed, None)
            return
        if feed not in self.slow:
            logger.warning("feed %s is slow: a read of a topic took %.1f s", feed, seconds)
        self.slow[feed] = seconds


def _timed(topic: str, took: list[float]) -> Reading:
    """Return the rows of a topic; add to ``took`` how long reading them took, or until it failed."""
    begun = time.monotonic()
    try:
        return read_topic(topic)
    finally:
        took.append(time.monotonic() - begun)
