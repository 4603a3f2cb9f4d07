"""Topic reads: the rows of topics are read in threads of their own, and each feed has a share of these threads.

A feed whose queries or templates take seconds therefore delays its own topics, but neither those of other feeds nor the
work of the reader threads (``service.py``). All feeds that are known to be slow share one thread, and feeds whose speed
is not known leave one thread to the quick ones. A feed that becomes slow keeps its share for ``FIRST_SECONDS``.
"""

import asyncio
import logging
import time
from collections.abc import Collection
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, TypeAlias

from django.db import OperationalError

from ..conf import get_conf
from ..engine.messages import Content
from ..feeds import registry
from ..publishing import log
from ..publishing.positions import Reading, read_topic
from ..runtime import cpu_time
from ..runtime.threads import DatabaseThreads
from .first_paint import first_paints

logger = logging.getLogger("realtime.hub")

SLOW_SECONDS = 1.0
"""A feed is slow once a read has taken longer, until a read takes less; after a second quick one it counts as quick."""
FIRST_SECONDS = 2.0
"""A read that takes longer is ended, and begun again in the share of the slow feeds, with ``READ_SECONDS``."""
CATCHING_UP = 2
"""How many reader threads read missed entries at once, each for another feed. After a reset thousands of topics have
missed something, and subscribers, rights and the log's tail need the same threads."""

_Asked: TypeAlias = dict[tuple[str, int], "asyncio.Future[log.Missed]"]
"""The topics that wait for their missed entries, each with its position."""


class TopicReads:
    """The reads of topics in one process."""

    def __init__(self, threads: DatabaseThreads, size: int) -> None:
        """``size`` is the number of the threads."""
        self._threads = threads
        self._share = max(1, size // 2)
        self._shares: dict[str, asyncio.Semaphore] = {}
        self._unknown_share = asyncio.Semaphore(max(1, size - 1))
        self._slow_share = asyncio.Semaphore(1)
        self._quick: set[str] = set()
        self._catching_up = asyncio.Semaphore(CATCHING_UP)
        self._asked: dict[str, _Asked] = {}
        self.slow: dict[str, float] = {}
        """The feeds that are slow, and the seconds that their last read took."""
        self._tasks: set[asyncio.Task[Any]] = set()

    async def read(self, topic: str, format: Content | None = None) -> Reading:
        """Return the rows of a topic in one format, or in all, when its feed's share has room.

        Raises: UnknownTopic, and whatever reading the rows raises.
        """
        # A task of its own: the share is in use until the thread has finished, even if the subscriber has left.
        task = asyncio.create_task(self._read(topic, format), name=f"realtime-read-{topic}")
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    async def known(self, topic: str, format: Content | None = None) -> Reading | None:
        """Return the rows of a topic if a page has just read them, and nothing has changed since; it needs no share."""
        if not first_paints.has_read(topic, format):
            return None
        reading = await self._threads.run(first_paints.reading, topic)
        return (
            None if reading is None or not reading.is_usable_in(format) else replace(reading, format=format)
        )

    async def missed(self, readers: DatabaseThreads, topic: str, after: int) -> log.Missed:
        """Return the entries that a topic has missed after a position; topics of a feed that wait are read together.

        Raises: what the database raises.
        """
        feed = topic.partition(".")[0]
        if feed not in self._asked:
            self._asked[feed] = {}
            task = asyncio.create_task(self._answer(readers, feed), name=f"realtime-missed-{feed}")
            self._tasks.add(task)
            task.add_done_callback(self._finished)
        loop = asyncio.get_running_loop()
        return await asyncio.shield(self._asked[feed].setdefault((topic, after), loop.create_future()))

    async def _answer(self, readers: DatabaseThreads, feed: str) -> None:
        """Read the missed entries of the topics of a feed that wait for them, until none is left."""
        while asked := self._asked[feed]:
            async with self._catching_up:
                self._asked[feed] = {}
                try:
                    found = await readers.run(_missed, feed, list(asked))
                except Exception as error:
                    for answer in asked.values():
                        answer.set_exception(error)
                        answer.exception()  # marks it as retrieved: the task that asked may have ended
                else:
                    for pair, answer in asked.items():
                        answer.set_result(found[pair])
        del self._asked[feed]

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # marks it as retrieved: the subscriber may have left

    async def _read(self, topic: str, format: Content | None) -> Reading:
        feed = registry.find(topic)[0].name
        while True:
            shares = self._shares_of(feed)
            async with AsyncExitStack() as held:
                for share in shares:
                    await held.enter_async_context(share)
                if shares != self._shares_of(feed):  # its speed has changed while this waited
                    continue
                whole = get_conf().read_seconds
                limit = whole if self._slow_share in shares else min(whole, FIRST_SECONDS)
                took: list[float] = []
                try:
                    return await self._threads.run(_timed, topic, format, limit, took)
                except (OperationalError, TimeoutError):
                    # A slower attempt would not help, or the cause is another one: the database's server is away, for
                    # example.
                    if limit == whole or not took or took[0] < limit:
                        raise
                finally:
                    self._note(feed, *took)

    def _shares_of(self, feed: str) -> list[asyncio.Semaphore]:
        if feed in self.slow:
            return [self._slow_share]
        share = self._shares.setdefault(feed, asyncio.Semaphore(self._share))
        return [share] if feed in self._quick else [share, self._unknown_share]

    def _note(self, feed: str, seconds: float = 0.0) -> None:
        if seconds <= SLOW_SECONDS:
            if self.slow.pop(feed, None) is None:
                self._quick.add(feed)
            return
        if feed not in self.slow:
            logger.warning("feed %s is slow: a read of a topic took %.1f s", feed, seconds)
        self._quick.discard(feed)
        self.slow[feed] = seconds


def _missed(feed: str, asked: Collection[tuple[str, int]]) -> dict[tuple[str, int], log.Missed]:
    """Return the missed entries of each of a feed's topics, given with its position."""
    if len(asked) == 1:
        return {(topic, after): log.missed(topic, feed, after) for topic, after in asked}
    of_feed = log.missed(feed, feed, min(after for _, after in asked))
    resets = [entry.position for entry in of_feed.entries if entry.kind not in log.WITH_ROWS]
    reset_at = max(resets, default=-1)
    # Topics from before a reset of the whole feed are read anew: their own entries are not needed.
    others = [(topic, after) for topic, after in asked if after >= reset_at]
    return dict.fromkeys(asked, of_feed) | (log.missed_of(feed, others) if others else {})


def _timed(topic: str, format: Content | None, limit: float, took: list[float]) -> Reading:
    """Return the rows of a topic; add to ``took`` how long reading them took, or until it failed.

    Time in which the thread waited for a core does not count, unless the reading failed: it may never end.
    """
    begun, waited = time.monotonic(), cpu_time.waited()
    try:
        reading = read_topic(topic, limit, format) if format else read_topic(topic, limit)
    except BaseException:
        took.append(time.monotonic() - begun)
        raise
    took.append(time.monotonic() - begun - (cpu_time.waited() - waited))
    return reading
