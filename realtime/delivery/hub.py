"""The hub: what one server process knows of the log, and the connections that follow it.

It holds each topic that has a local subscriber, keeps it current from layer messages and, independently,
from the log's tail, and marks the topic in the sessions of its subscribers when something shows.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterable
from typing import Any

from ..conf import get_conf
from ..engine.messages import Notice
from ..engine.topic import Topic
from ..models import LogEntry
from ..publishing import log
from ..publishing.layer import EVERYONE_GROUP, MESSAGE_TYPE, from_message, group
from ..publishing.log import EVERYONE
from ..publishing.positions import probe
from ..runtime.supervision import supervise
from ..runtime.threads import DatabaseThreads
from .shared_topic import SharedTopic, Subscriber

logger = logging.getLogger("realtime.hub")
layer_log = logging.getLogger("realtime.layer")

REJOIN_SECONDS = 60.0
REJOIN_SOON_SECONDS = 3.0  # after one that failed
LAYER_SECONDS = 1.0  # a subscriber waits for the group of a topic that nobody follows yet
BEATS = 15


class Hub:
    """One per process and event loop."""

    def __init__(self, layer, readers: DatabaseThreads, follow_seconds: float) -> None:
        self._layer, self._reader_threads, self._follow_seconds = layer, readers, follow_seconds
        self._channel = ""
        self._epoch = ""
        self._cursor = -1  # the log has been looked at up to here; below 0: not yet
        self._reached = 0  # the highest offset that this epoch is known to have come to
        self._probing = asyncio.Lock()
        self._held: dict[str, SharedTopic] = {}
        self._beats: list[set[Subscriber]] = [set() for _ in range(BEATS)]
        self._beat = 0
        self._behind = asyncio.Event()  # something says that the log has more than is held
        self.rights_changed = asyncio.Event()  # the log says that rights may have changed
        self._rejoined_at = -REJOIN_SECONDS
        self._seen_announcements: deque[int] = deque(maxlen=1000)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        await self._open_channel()
        for name, one_round in (
            ("receiver", self._receive),
            ("floor", self._follow),
            ("groups", self._keep_groups),
            ("heartbeat", self._pulse),
        ):
            task = asyncio.create_task(supervise(name, one_round, logger), name=f"realtime-{name}")
            self._tasks.append(task)

    async def _open_channel(self) -> None:
        """Open this process's channel; a server whose layer is away serves its pages from the log."""
        try:
            async with asyncio.timeout(LAYER_SECONDS):
                self._channel = await self._layer.new_channel("realtime")
        except Exception as error:
            layer_log.error("away: %s: %s; this process follows the log", type(error).__name__, error)
        else:
            self._rejoined_at = -REJOIN_SECONDS

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        # A layer that hangs may keep its receiver from ending; the process ends all the same.
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=3 * LAYER_SECONDS)
        await asyncio.gather(*(self._leave(name) for name in [EVERYONE_GROUP, *map(group, self._held)]))

    # ------------------------------------------------------------ connections

    @property
    def connections(self) -> list[Subscriber]:
        return [subscriber for beat in self._beats for subscriber in beat]

    @property
    def size(self) -> int:
        """How many connections there are; any thread may ask."""
        return sum(map(len, self._beats))

    @property
    def topics(self) -> int:
        return len(self._held)

    @property
    def subscriptions(self) -> int:
        return sum(len(held.subscribers) for held in self._held.values())

    def connect(self, subscriber: Subscriber) -> None:
        """Count a connection in, once: it gets heartbeats and notices from now on, and its rights are looked after."""
        if any(subscriber in beat for beat in self._beats):
            return
        if not any(self._beats):
            self._cursor = -1  # nobody was here to look for; what was said meanwhile is old
            self.look_soon()
        min(self._beats, key=len).add(subscriber)

    def disconnect(self, subscriber: Subscriber, topics: Iterable[str]) -> None:
        """Forget a connection and its subscriptions."""
        for beat in self._beats:
            beat.discard(subscriber)
        for name in topics:
            self.unsubscribe(name, subscriber)

    async def subscribe(self, name: str, subscriber: Subscriber) -> Topic:
        """Return the topic, current, with the subscriber told of its news from now on.

        Raises: UnknownTopic, and whatever reading the rows raises.
        """
        held = self._held.get(name)
        if held is None:
            held = self._held[name] = SharedTopic(name, self._reader_threads, self.look_soon)
        held.subscribers.add(subscriber)
        held.idle_since = None
        try:
            if not held.is_loaded:
                # First the group, then the rows: what comes between is in the rows or noted as missed.
                await self._join(group(name))
                await held.load()
        except BaseException:
            self.unsubscribe(name, subscriber)
            raise
        return held.topic

    def unsubscribe(self, name: str, subscriber: Subscriber) -> None:
        held = self._held.get(name)
        if held is not None:
            held.subscribers.discard(subscriber)
            if not held.subscribers:
                held.idle_since = time.monotonic()

    async def has_reached(self, offset: int) -> bool:
        """Return whether the database has come to an offset; false for one from a lost future (a restore)."""
        if offset > self._reached:
            async with self._probing:  # a thousand who come back at once ask once
                if offset > self._reached:
                    self._reached = (await self._reader_threads.run(probe)).offset
        return offset <= self._reached

    # ------------------------------------------------------------ the layer

    async def _join(self, group_name: str) -> None:
        """Join a group; without it the topic still follows the log's tail, only later."""
        if not self._channel:
            return
        try:
            async with asyncio.timeout(LAYER_SECONDS):
                await self._layer.group_add(group_name, self._channel)
        except Exception as error:
            self._rejoined_at = time.monotonic() - REJOIN_SECONDS + REJOIN_SOON_SECONDS
            layer_log.error("not joined: %s: %s; %s follows the log", type(error).__name__, error, group_name)

    async def _leave(self, group_name: str) -> None:
        """Leave a group; if that fails the layer forgets this channel by itself, in time."""
        try:
            async with asyncio.timeout(LAYER_SECONDS):
                await self._layer.group_discard(group_name, self._channel)
        except Exception as error:
            logger.info("group %s not left: %s", group_name, error)

    async def _receive(self) -> None:
        if not self._channel:
            await asyncio.sleep(REJOIN_SOON_SECONDS)
            await self._open_channel()
            return
        try:
            message = await self._layer.receive(self._channel)
        except ValueError as error:  # bytes that the layer itself cannot unpack
            layer_log.warning("message not understood: %r", error)
            return
        # Others may write to the layer: nothing else is for us.
        if isinstance(message, dict) and message.get("type") == MESSAGE_TYPE:
            self._take(message)

    def _take(self, message: dict[str, Any]) -> None:
        try:
            epoch, entry = from_message(message)
        except (KeyError, TypeError, ValueError, OverflowError) as error:  # of another version, or forged
            layer_log.warning("message not understood, the log is read: %r", error)
            self.look_soon()
            return
        held = self._held.get(entry.topic)
        if entry.kind in log.ANNOUNCEMENTS:
            self._announce(entry)
        elif held is not None:
            held.hear(epoch, entry)
        elif entry.kind == LogEntry.Kind.RESET:  # of a whole feed
            self.look_soon()

    def _announce(self, entry: LogEntry) -> None:
        """Pass on what is said once, whether the layer or the log brings it first."""
        seen = hash((entry.kind, entry.position, entry.topic, entry.payload))
        if seen in self._seen_announcements:
            return
        self._seen_announcements.append(seen)
        if entry.kind == LogEntry.Kind.RIGHTS:
            self.rights_changed.set()
            return
        if entry.topic == EVERYONE:
            notice, subscribers = Notice(text=entry.payload), self.connections
        else:
            held = self._held.get(entry.topic)
            notice = Notice(text=entry.payload, topic=entry.topic)
            subscribers = list(held.subscribers) if held else []
        for subscriber in subscribers:
            subscriber.post(notice)

    # ------------------------------------------------------------ the log

    def look_soon(self) -> None:
        """Look at the log's tail now: somebody knows that there is more."""
        self._behind.set()

    async def _follow(self) -> None:
        """Look at the log's tail: at a fixed rhythm, and when something says that it has more."""
        timer = asyncio.get_running_loop().call_later(self._follow_seconds, self._behind.set)
        await self._behind.wait()
        timer.cancel()
        self._behind.clear()
        if any(self._beats) or self._held:
            await self._look()

    async def _look(self) -> None:
        """Bring all held topics to the log's end; one that cannot be brought there stops itself alone."""
        before = {name: held.topic.position for name, held in self._held.items()}
        tail = await self._reader_threads.run(log.tail, max(self._cursor, 0))
        if tail.epoch == self._epoch and 0 <= self._cursor <= tail.offset:
            self._cursor = max(self._cursor, tail.end)
            for announcement in tail.announcements:
                self._announce(announcement)
        else:  # what was said before we began, or in another life of the log, is nobody's news
            self._epoch, self._cursor = tail.epoch, tail.end
        self._reached = tail.offset
        for name, position in before.items():
            if name in self._held:
                self._held[name].compare(tail, position)
        stale = [held for held in self._held.values() if held.is_stale and held.is_loaded]
        await asyncio.gather(*(held.refresh(tail) for held in stale))

    async def _keep_groups(self) -> None:
        """Forget topics that nobody has followed for a while; join the groups of the others again.

        A layer may have lost a membership without a word (a restart, an expiry). A task of its own: a
        layer that hangs keeps nobody from the log.
        """
        now = time.monotonic()
        linger = get_conf().topic_linger_seconds
        for name, held in list(self._held.items()):
            if held.idle_since is not None and now - held.idle_since > linger and not held.is_reading:
                del self._held[name]
                await self._leave(group(name))
        if self._channel and now - self._rejoined_at > REJOIN_SECONDS:
            self._rejoined_at = now
            await asyncio.gather(*(self._join(name) for name in [EVERYONE_GROUP, *map(group, self._held)]))
        await asyncio.sleep(self._follow_seconds)

    # ------------------------------------------------------------ heartbeats

    async def _pulse(self) -> None:
        """Let a fifteenth of the connections hear from us, so that all do within one heartbeat."""
        await asyncio.sleep(get_conf().heartbeat_seconds / BEATS)
        self._beat = (self._beat + 1) % BEATS
        for subscriber in list(self._beats[self._beat]):
            subscriber.pulse()
