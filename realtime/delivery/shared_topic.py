"""A held topic: one topic in a process's memory, the connections that follow it, and how it stays current."""

import asyncio
import logging
import math
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Protocol

from msgspec import MsgspecError

from ..access.visitors import Visitor
from ..engine.codes import Code
from ..engine.errors import Gap
from ..engine.messages import Error, ServerMessage, decode_changes
from ..engine.position import Position
from ..engine.session import Ending
from ..engine.topic import Topic
from ..feeds import registry
from ..models import LogEntry
from ..publishing import log
from ..publishing.positions import Reading, read_topic
from ..runtime import metrics
from ..runtime.threads import DatabaseThreads

logger = logging.getLogger("realtime.hub")


FAN_OUT_AT_ONCE = 50
"""Connections told in one go; then the loop sees to everything else (at 45 µs each on daphne: 2 ms)."""


class Subscriber(Protocol):
    """A connection, as the process sees it. None of these may wait.

    ``writer`` is the task that sends what the server did not take at once, None while there is none.
    """

    visitor: Visitor
    writer: asyncio.Task[None] | None

    @property
    def topics(self) -> list[str]: ...
    def notify(self, topic: str) -> None: ...
    def post(self, message: ServerMessage) -> None: ...
    def pulse(self) -> None: ...
    def revoke(self, topic: str) -> None: ...
    def end(self, ending: Ending) -> None: ...


class SharedTopic:
    """Rows, head and recent changes of one topic, with its subscribers."""

    def __init__(self, name: str, readers: DatabaseThreads, fell_behind: Callable[[], None]) -> None:
        """``fell_behind`` is called when the log may have more than is held here."""
        self.topic = Topic(name)
        self.subscribers: set[Subscriber] = set()
        self.idle_since: float | None = None
        self.is_loaded = False
        self.is_stale = False
        self._is_put_back = False
        self._reader_threads, self._fell_behind = readers, fell_behind
        self._untold: Iterator[Subscriber] | None = None  # of the round that is under way
        self._must_tell_again = False
        self._told_at = -math.inf
        self._next_round: asyncio.TimerHandle | None = None
        self._reading = asyncio.Lock()
        self._failures = 0

    @property
    def name(self) -> str:
        return self.topic.name

    @property
    def feed(self) -> str:
        return self.name.partition(".")[0]

    @property
    def is_reading(self) -> bool:
        return self._reading.locked()

    # ------------------------------------------------------------ news

    def hear(self, epoch: str, entry: LogEntry) -> None:
        """Take an entry that the channel layer brought; whatever does not fit exactly is left to the log."""
        is_ready = self.is_loaded and not self.is_reading and epoch == self.topic.position.epoch
        if not (is_ready and entry.kind == LogEntry.Kind.CHANGES and self._apply(entry)):
            self.doubt()

    def doubt(self) -> None:
        """Note that the log may have more; the next look finds out."""
        self.is_stale = True
        self._fell_behind()

    def compare(self, tail: log.Tail, before: Position) -> None:
        """Note whether the log's tail has more, or the database has gone back behind what was held before."""
        newest = max(tail.newest.get(self.name, 0), tail.newest.get(self.feed, 0))
        held = self.topic.position
        if held.epoch != tail.epoch or newest > held.offset or before.offset > tail.offset:
            self.is_stale = True
        self._is_put_back = before.offset > tail.offset

    def _apply(self, entry: LogEntry) -> bool:
        """Apply an entry; return whether it could be."""
        try:
            changes = decode_changes(entry.payload)
            shown = self.topic.apply(entry.after, entry.begins, entry.position, changes)
        except (Gap, MsgspecError):
            return False
        if shown:
            self._notify()
        return True

    def _notify(self) -> None:
        """Tell the subscribers that there is news, no more often than the feed's ``min_interval``.

        Whoever is told late is told more at once: its cursor says what it has not seen.
        """
        if self._untold is not None:
            self._must_tell_again = True
            return
        if self._next_round is not None:
            return
        loop = asyncio.get_running_loop()
        wait = self._told_at + self._min_interval - loop.time()
        if wait > 0:
            self._next_round = loop.call_later(wait, self._begin_round)
        else:
            self._begin_round()

    def _begin_round(self) -> None:
        self._next_round = None
        self._told_at = asyncio.get_running_loop().time()
        self._untold = iter(list(self.subscribers))
        self._tell_some()

    def _tell_some(self) -> None:
        assert self._untold is not None
        some = list(islice(self._untold, FAN_OUT_AT_ONCE))
        for subscriber in some:
            subscriber.notify(self.name)
        if some:
            asyncio.get_running_loop().call_soon(self._tell_some)
            return
        self._untold = None
        if self._must_tell_again:
            self._must_tell_again = False
            self._notify()

    @property
    def _min_interval(self) -> float:
        return registry[self.feed].min_interval if self.feed in registry else 0.0

    # ------------------------------------------------------------ the log, the rows

    async def load(self) -> None:
        """Read the rows if nobody has yet; those who come meanwhile wait for the same reading."""
        async with self._reading:
            if not self.is_loaded:
                await self._read()
        if self.is_stale:
            self._fell_behind()

    async def refresh(self, tail: log.Tail) -> None:
        """Bring a stale topic to the log's end. If it fails it stays stale; if again, subscribers are told."""
        self.is_stale = False
        try:
            async with self._reading:
                await self._catch_up(tail)
            metrics.caught_up.inc()
            self._failures = 0
        except Exception as error:
            self.is_stale = True
            self._failures += 1
            if self._failures == 1:
                logger.error("topic %s cannot be read, tries again: %s", self.name, error, exc_info=error)
            elif self._failures == 2:
                self._complain()

    async def _catch_up(self, tail: log.Tail) -> None:
        """Apply the missed entries, or read the rows anew where entries do not tell."""
        held = self.topic.position
        if held.epoch == tail.epoch and not self._is_put_back:
            missed = await self._reader_threads.run(log.missed, self.name, self.feed, held.offset)
            is_told = missed.is_whole and all(entry.kind == LogEntry.Kind.CHANGES for entry in missed.entries)
            if is_told and all(self._apply(entry) for entry in missed.entries):
                return
        await self._read()

    async def _read(self) -> None:
        reading: Reading = await self._reader_threads.run(read_topic, self.name)
        shown = self.topic.load(reading.position, reading.rows, reading.unchanged_since)
        self.is_loaded = True
        if shown:
            self._notify()

    def _complain(self) -> None:
        words = "this topic cannot be read now; it is tried again"
        for subscriber in self.subscribers:
            subscriber.post(Error(code=Code.INTERNAL, message=words, topic=self.name))
