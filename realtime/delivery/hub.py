"""The hub: the topics that one server process keeps in memory, and the connections that follow them.

It keeps each topic current from layer messages and, independently, from the log's tail, and notifies the
topic's subscribers of visible changes.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Collection, Coroutine, Iterable
from dataclasses import replace
from itertools import islice
from typing import Any

from channels.layers import BaseChannelLayer
from msgspec import MsgspecError

from ..access import revocation
from ..conf import get_conf
from ..engine.errors import Unreadable
from ..engine.messages import Format, Notice, Presence
from ..engine.position import Position
from ..engine.topic import Topic
from ..feeds import registry
from ..models import LogEntry
from ..publishing import log
from ..publishing.layer import BROADCAST_TYPE, EVERYONE_GROUP, MESSAGE_TYPE, from_message
from ..publishing.log import EVERYONE
from ..publishing.positions import probe
from ..publishing.table_watch import TableWatch
from ..runtime.supervision import supervise
from ..runtime.threads import DatabaseThreads, OpenFile
from .audience import Audience
from .broadcasts import Broadcasts
from .catch_up import CatchUp
from .held_topics import RENEW_SECONDS, HeldTopics
from .layer_channel import LayerChannel
from .rights import Rights, RightsChanged
from .rights_check import Verdict
from .scrubber import Scrubber
from .shared_topic import SharedTopic
from .subscriber import Subscriber, for_each
from .topic_limits import TopicLimits
from .topic_reads import TopicReads

logger = logging.getLogger("realtime.hub")
layer_logger = logging.getLogger("realtime.layer")

STOP_SECONDS = 3.0
"""How long a stopping hub waits for its tasks: a layer that hangs may keep the receiver from ending."""
LEAVE_SECONDS = 1.0
"""How long a stopping hub leaves groups; the memberships that are left expire."""
TABLE_WATCH_SECONDS = 1.0
"""How often a process checks, at most, whether every change of the live tables is captured."""
CONFIRM_ATTEMPTS = 5
"""How often the right of a new subscriber is checked again because rights have changed meanwhile."""
COMPARED_AT_ONCE = 500
"""How many topics are compared with the log's tail before the event loop may do other work (1 ms)."""
NOWHERE = Position("", 0)
"""Where the log has not been read: it names no snapshot."""
BEATS = 15
"""Into how many groups connections are divided, so that heartbeats are spread over the period."""


class Hub:
    """The hub of one process and event loop."""

    def __init__(
        self,
        layer: BaseChannelLayer,
        readers: DatabaseThreads,
        reads: TopicReads,
        follow_seconds: float,
        held_topics: HeldTopics | None = None,
    ) -> None:
        """``follow_seconds``: the pause between two reads of the log's tail; ``held_topics`` stores the topics."""
        self._channel = LayerChannel(layer)
        self._held_topics = held_topics
        self._reader_threads, self._reads, self._follow_seconds = readers, reads, follow_seconds
        self.rights = Rights(readers)
        self._announced_to = NOWHERE  # up to where announcements were read from the log
        self._compared = NOWHERE  # up to where all topics were compared with the log
        self._unsettled: set[SharedTopic] = set()  # those that the next look compares, whatever the log has
        self._furthest = 0  # no topic that is settled has a higher offset
        self._files: dict[str, str] = {}  # each table's storage, with which settled topics were compared
        self._looked_at = time.monotonic()  # when the log's tail was last read
        self._waiting_seconds = 0.0  # by then: age of the oldest change that was not sequenced
        self._refreshes: set[asyncio.Task[None]] = set()
        self._catch_up = CatchUp(self._begin)
        self._reached = 0  # the highest offset that the database is known to have reached
        self._probing = asyncio.Lock()
        self._file = OpenFile()
        self._table_watch, self._table_watch_due = TableWatch(), -math.inf
        self._uncaptured: frozenset[str] = frozenset()  # tables of which a change may not have been noted
        self._shared: dict[str, SharedTopic] = {}
        self._audience = None if held_topics is None else Audience(self._shared, held_topics, readers)
        self.broadcasts = Broadcasts(self._shared, self._channel)
        self._limits = TopicLimits()
        self._beats: list[set[Subscriber]] = [set() for _ in range(BEATS)]
        self._beat = 0
        self._must_look = asyncio.Event()  # the log may have more than the topics
        self.rights_changed = RightsChanged()
        # Announcements that the layer has brought from beyond the cursor.
        self._announced: set[tuple[int, str, str, str]] = set()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        await self._channel.open()
        for name, one_round in (
            ("receiver", self._receive),
            ("floor", self._follow),
            ("groups", self._keep_groups),
            *([("interest", self._renew_interest)] if self._held_topics is not None else []),
            *([("audience", self._audience.look)] if self._audience is not None else []),
            ("heartbeat", self._pulse),
            ("scrubber", Scrubber(self._shared.values, self._log_reached).scrub_next),
        ):
            task = asyncio.create_task(supervise(name, one_round, logger), name=f"realtime-{name}")
            self._tasks.append(task)

    async def stop(self) -> None:
        tasks = [*self._tasks, *self._refreshes]
        for task in tasks:
            task.cancel()
        self.broadcasts.stop()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._channel.leave(*self._groups)
        if self._held_topics is not None:
            await self._held_topics.stop()

    # ------------------------------------------------------------ connections

    @property
    def connections(self) -> list[Subscriber]:
        return [subscriber for beat in self._beats for subscriber in beat]

    @property
    def size(self) -> int:
        """The number of connections; may be read from any thread."""
        return sum(map(len, self._beats))

    @property
    def topics(self) -> int:
        """The number of topics in memory."""
        return len(self._shared)

    @property
    def slow_feeds(self) -> dict[str, float]:
        """The feeds whose last read of a topic took long, with its seconds."""
        return self._reads.slow

    @property
    def unreadable_topics(self) -> int:
        """The number of topics in memory that cannot be read at present."""
        return sum(not shared.topic.is_readable for shared in self._shared.values())

    @property
    def subscriptions(self) -> int:
        """The number of subscriptions of all connections."""
        return sum(len(shared.subscribers) for shared in self._shared.values())

    @property
    def _is_idle(self) -> bool:
        """Whether there is neither a connection nor a topic: then the log's tail is not read."""
        return not any(self._beats) and not self._shared

    @property
    def behind_seconds(self) -> float:
        """How old the oldest committed change may be that this process has not received; 0 if it needs none."""
        if self._is_idle:
            return 0.0
        since_look = time.monotonic() - self._looked_at
        is_overdue = since_look > self._follow_seconds + 1
        if self._waiting_seconds:
            return self._waiting_seconds + since_look
        return since_look if is_overdue else 0.0

    def behind_seconds_of(self, topic: str) -> float:
        """How old the oldest change may be that the rows of a topic lack."""
        shared = self._shared.get(topic)
        return max(self.behind_seconds, shared.freshness.behind_seconds if shared is not None else 0.0)

    def vouched(self, name: str) -> Topic | None:
        """Return a topic if this process holds it and knows of no change that it lacks; for any thread."""
        shared = self._shared.get(name)
        if shared is None or not shared.is_loaded or shared.is_stale:
            return None
        return shared.topic if shared.topic.is_readable and shared.topic.is_current else None

    def is_captured(self, tables: Collection[str]) -> bool:
        """Return whether this process knows that every change of these tables is noted; for any thread."""
        return not self._is_idle and self._uncaptured.isdisjoint(tables)

    def connect(self, subscriber: Subscriber) -> None:
        """Register a connection: from now on it gets heartbeats and notices, and its rights are checked."""
        if any(subscriber in beat for beat in self._beats):
            return
        if not any(self._beats):
            self._announced_to = NOWHERE  # the tail was not read without connections: what it has is old
            self._begin_to_follow()
        min(self._beats, key=len).add(subscriber)

    def disconnect(self, subscriber: Subscriber, topics: Iterable[str]) -> None:
        """Remove a connection and its subscriptions."""
        for beat in self._beats:
            beat.discard(subscriber)
        for name in topics:
            self.unsubscribe(name, subscriber)

    async def subscribe(self, name: str, subscriber: Subscriber, format: Format | None = None) -> Topic:
        """Return the current topic in a format, or in all, and notify the subscriber of its news from now on.

        Raises: UnknownTopic; TooMuch, if there is no room for a further topic; whatever reading the rows raises.
        """
        if self._is_idle:
            self._begin_to_follow()
        dropped: list[SharedTopic] = []
        shared = self._shared.get(name)
        if shared is None:
            room = self._limits.make_room(len(self._shared), subscriber.address)
            dropped = [self._shared.pop(other) for other in room]
            shared = self._shared[name] = SharedTopic(
                name, self._reader_threads, self._reads, self.rights, self.look_soon, self._unsettled
            )
            shared.freshness.set_captured(not self._uncaptured & _tables(shared))
        if subscriber not in shared.subscribers:
            shared.subscribers.add(subscriber)
            self._limits.begin(name, subscriber.address)
        if self._audience is not None:
            self._audience.greet(shared, subscriber)
        shared.idle_since = None
        shared.ask_for(format)
        try:
            await self._channel.leave(*(other.group for other in dropped))
            if not shared.is_loaded or not shared.has_all_contents:
                # First the group, then the rows: a change in between is in the rows, or the topic becomes stale.
                await self._channel.join(shared.group)
                if self._held_topics is not None:
                    await self._held_topics.note(name, shared.format)
                await shared.load()
            elif shared.is_stale:  # without subscribers it may have waited
                self.look_soon()
        except BaseException:
            self.unsubscribe(name, subscriber)
            raise
        return shared.topic

    async def confirm(self, name: str, subscriber: Subscriber, verdict: Verdict) -> None:
        """Return when a right that was checked with ``verdict`` holds for the rows that the topic has now.

        Wait also until these rows are not older than the check: rows removed before the right was given are not sent.
        Raises: Forbidden; Unreadable, if rights change all the time; what the feed or the database raises.
        """
        shared = self._shared.get(name)
        if shared is None:
            return
        await shared.reach(verdict.heads)
        if verdict.as_of.covers(shared.rights_since):
            return
        # The rows may be newer than the first check: repeating the check for each newer state would never end where
        # rights change every second. The right held as of the first check; from then on the topic confirms the
        # subscriber's right with each such change, as it does for all others.
        for _ in range(CONFIRM_ATTEMPTS):
            since = shared.rights_since
            await self.rights.check(subscriber.visitor, name)
            if shared.rights_since == since:
                return
        raise Unreadable(name)

    def unsubscribe(self, name: str, subscriber: Subscriber) -> None:
        shared = self._shared.get(name)
        if shared is not None and subscriber in shared.subscribers:
            shared.subscribers.remove(subscriber)
            if self._audience is not None:
                self._audience.forget(name, subscriber)
            self._limits.end(name, subscriber.address, is_last=not shared.subscribers)
            if not shared.subscribers:
                shared.idle_since = time.monotonic()

    def presence(self, topic: str) -> Presence | None:
        """Return the last presence message of a topic; None if its subscribers receive none."""
        return None if self._audience is None else self._audience.told(topic)

    @property
    def followers(self) -> dict[str, int]:
        """How many connections of this process follow each topic that it holds."""
        return {name: len(shared.subscribers) for name, shared in self._shared.items()}

    def read_anew(self, topic: str) -> None:
        """Have the rows of a topic read again, if this process holds it, whatever the log says."""
        if topic in self._shared:
            self._shared[topic].require_reading()
            self.look_soon()

    async def has_reached(self, offset: int) -> bool:
        """Return whether the database has reached an offset; False for one that a restore has undone."""
        if offset > self._reached:
            async with self._probing:  # a thousand simultaneous requests cause one query
                if offset > self._reached:
                    self._reached = (await self._reader_threads.run(probe)).offset
        return offset <= self._reached

    # ------------------------------------------------------------ the layer

    @property
    def _groups(self) -> list[str]:
        return [EVERYONE_GROUP, *(shared.group for shared in self._shared.values())]

    async def _receive(self) -> None:
        message = await self._channel.receive()
        # Other programs may write to the layer: messages of other types are ignored.
        if message is not None and message.get("type") == MESSAGE_TYPE:
            self._handle(message)
        elif message is not None and message.get("type") == BROADCAST_TYPE:
            self._handle_broadcast(message)

    def _handle_broadcast(self, message: dict[str, Any]) -> None:
        try:
            self.broadcasts.receive(message)
        except (KeyError, TypeError, ValueError, OverflowError, MsgspecError) as error:
            layer_logger.warning("broadcast not understood and dropped: %r", error)

    def _handle(self, message: dict[str, Any]) -> None:
        try:
            epoch, entry = from_message(message)
        except (KeyError, TypeError, ValueError, OverflowError) as error:  # of another version, or forged
            layer_logger.warning("message not understood, the log is read: %r", error)
            self.look_soon()
            return
        shared = self._shared.get(entry.topic)
        if log.is_announcement(entry):
            self._receive_announcement(epoch, entry)
        elif shared is not None:
            shared.receive(epoch, entry)
        elif entry.kind != LogEntry.Kind.CHANGES:  # of a whole feed
            self.look_soon()

    def _receive_announcement(self, epoch: str, entry: LogEntry) -> None:
        """Act at once on an announcement from the layer, if it is certainly newer than the log as it was read.

        Another announcement may be an old message that was recorded and sent again. If it is new, the next look finds
        it in the log.
        """
        if epoch != self._announced_to.epoch:
            self.look_soon()
        elif entry.position > self._announced_to.offset and not self._is_idle:
            self._announce(epoch, entry)

    def _announce(self, epoch: str, entry: LogEntry) -> None:
        """Act on an announcement once, although both the layer and the log deliver it."""
        announced = (entry.position, entry.kind, entry.topic, entry.payload)
        if announced in self._announced:
            return
        self._announced.add(announced)
        if entry.kind == LogEntry.Kind.RIGHTS:
            self.rights_changed.set_for(revocation.users_of(entry.payload))
            return
        if entry.topic == EVERYONE:
            notice = Notice(text=entry.payload)
            for_each(self.connections, lambda subscriber: subscriber.post(notice))
        elif entry.topic in self._shared:
            self._begin(self._shared[entry.topic].announce(Position(epoch, entry.position), entry.payload))

    # ------------------------------------------------------------ the log

    def look_soon(self) -> None:
        """Read the log's tail without waiting for the next interval."""
        self._must_look.set()

    def _begin_to_follow(self) -> None:
        """Read the log's tail now; that it was not read before does not count as delay, because nothing needed it."""
        self._looked_at, self._waiting_seconds = time.monotonic(), 0.0
        self.look_soon()

    async def _follow(self) -> None:
        """Read the log's tail: at a fixed interval, and after ``look_soon``."""
        timer = asyncio.get_running_loop().call_later(self._follow_seconds, self._must_look.set)
        await self._must_look.wait()
        timer.cancel()
        self._must_look.clear()
        if not self._is_idle:
            await self._look()

    async def _look(self) -> None:
        """Begin to bring all topics to the log's end; one that fails, or takes long, does not affect the others.

        A topic is compared if the tail names it or its feed, or if it is not settled. All are compared if the tail does
        not continue the log that was read before, or if a table has another storage.
        """
        before = {shared: shared.topic.position for shared in self._unsettled}
        known, since = self._announced_to, self._looked_at
        tail, uncaptured, looked_at, files = await self._reader_threads.run(self._tail, known, since)
        unread = 0  # up to where the log may have had entries that are not in the tail
        if not tail.continues(known):
            unread = tail.end if known.offset > 0 else 0  # a position from before is not one of this log
            self._compared = Position(tail.epoch, 0)
            self._announced.clear()
        if self._looked_at == since:
            self._announced_to, self._looked_at = Position(tail.epoch, tail.sequenced), looked_at
            for announcement in tail.announcements:
                self._announce(tail.epoch, announcement)
            self._announced = {one for one in self._announced if one[0] > tail.sequenced}
        else:  # the first connection was registered meanwhile: the next look finds which announcements are not older
            self._announced_to = NOWHERE
            self.look_soon()
        # A process that was suspended for long may find that entries were pruned which it has not read.
        if self._compared.offset < tail.edge:
            unread = max(unread, tail.edge)
            self.rights_changed.set()
        self._reached, self._waiting_seconds = tail.offset, tail.waiting_seconds
        if uncaptured != self._uncaptured:
            self._uncaptured = uncaptured
            for shared in self._shared.values():
                shared.freshness.set_captured(not uncaptured & _tables(shared))
        furthest = max([self._furthest, *(position.offset for position in before.values())])
        self._furthest = min(furthest, tail.offset)
        is_other_log = not tail.continues(known) or unread > 0 or furthest > tail.offset
        has_other_tables = bool(files) and files != self._files
        chosen = list(self._shared.values()) if is_other_log or has_other_tables else self._concerned(tail)
        due: list[SharedTopic] = []
        waiting = iter(chosen)
        while some := list(islice(waiting, COMPARED_AT_ONCE)):
            for shared in some:
                has_moved = shared in self._unsettled and shared not in before
                position = None if has_moved else before.get(shared, shared.topic.position)
                shared.compare(tail, position, unread)
                is_settled = shared.compare_files(files, looked_at) and shared.topic.position is position
                if shared.is_due:
                    due.append(shared)  # when it has caught up, or has failed to, it is not settled
                elif shared.is_stale and not shared.is_refreshing:
                    is_settled = False
                (self._unsettled.discard if is_settled else self._unsettled.add)(shared)
            await asyncio.sleep(0)
        self._files = files or self._files
        self._compared = Position(tail.epoch, max(self._compared.offset, tail.end, tail.edge))
        self._catch_up.add([shared for shared in due if shared.is_due], tail.epoch)

    def _concerned(self, tail: log.Tail) -> list[SharedTopic]:
        """Return the topics of which the tail has entries, and those that are not settled."""
        dropped = [shared for shared in self._unsettled if self._shared.get(shared.name) is not shared]
        self._unsettled.difference_update(dropped)
        feeds = {name for name in tail.newest if name in registry and registry[name].topic_field}
        named = [self._shared[name] for name in tail.newest if name in self._shared]
        of_feeds = [shared for shared in self._shared.values() if shared.feed in feeds] if feeds else []
        return list(self._unsettled.union(named, of_feeds))

    def _tail(self, known: Position, since: float) -> tuple[log.Tail, frozenset[str], float, dict[str, str]]:
        """Return the log's tail, the tables that may not be captured, the time, and each table's storage.

        Called in a reader thread. All four are of the file that has the database's name now; the fourth is empty
        between two looks at the tables. Where the log does not continue from ``known``, the tail has only the
        announcements after ``since``: older ones were for other connections.
        """
        if self._file.reopen_if_replaced():  # housekeeping runs only where changes are published
            logger.warning("the database's file was replaced; every connection is opened again")
        looked_at = time.monotonic()  # before, as the loop may receive the tail much later
        files: dict[str, str] = {}
        # The tables are looked at first: a reset that was written for one is then in the log, or waits to be sequenced.
        if looked_at >= self._table_watch_due:
            self._table_watch.look()
            files = self._table_watch.files
            self._table_watch_due = time.monotonic() + TABLE_WATCH_SECONDS
        tail = log.tail(known.offset)
        if not tail.continues(known):
            tail = replace(tail, announcements=log.announced_since(since, tail.end))
        unnoted = self._table_watch.without_triggers | self._table_watch.exchanged
        return tail, frozenset(unnoted), looked_at, files

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="realtime-refresh")
        self._refreshes.add(task)
        task.add_done_callback(self._refreshes.discard)

    def _log_reached(self) -> Position:
        """Return up to where the log was read for all topics."""
        return self._compared

    async def _keep_groups(self) -> None:
        """Drop topics that have had no subscriber for some time; join the groups of the others again.

        A task of its own, so that a layer that hangs does not delay reading the log.
        """
        now = time.monotonic()
        linger = get_conf().topic_linger_seconds
        idle = [self._shared[name] for name in self._limits.idle if name in self._shared]
        dropped = [shared for shared in idle if shared.is_idle_for(linger, now)]
        for shared in dropped:
            del self._shared[shared.name]
            self._limits.drop(shared.name)
        await self._channel.leave(*(shared.group for shared in dropped))
        await self._channel.rejoin(self._groups)
        await asyncio.sleep(self._follow_seconds)

    async def _renew_interest(self) -> None:
        assert self._held_topics is not None
        await self._held_topics.renew(
            {name: len(shared.subscribers) for name, shared in self._shared.items()},
            {name: shared.format for name, shared in self._shared.items()},
            {} if self._audience is None else self._audience.counted,
        )
        await asyncio.sleep(RENEW_SECONDS)

    # ------------------------------------------------------------ heartbeats

    async def _pulse(self) -> None:
        """Send a heartbeat to one of the groups of connections, so that each gets one per period."""
        await asyncio.sleep(get_conf().heartbeat_seconds / BEATS)
        self._beat = (self._beat + 1) % BEATS
        for_each(self._beats[self._beat], lambda subscriber: subscriber.pulse())


def _tables(shared: SharedTopic) -> set[str]:
    """Return the tables that decide on a topic's rows."""
    return registry[shared.feed].tables if shared.feed in registry else set()
