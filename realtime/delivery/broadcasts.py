"""Broadcasts: short messages of clients to the other subscribers of a topic, in all processes; never stored.

Their delivery is not promised: a broadcast that is late, over a limit, or sent while rights are in question is dropped.
This module asks which clients may send one; ``transports/broadcasts.py`` counts how many they send.
"""

import asyncio
import secrets
import time
from collections.abc import Hashable, Mapping
from itertools import islice
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from ..access.visitors import Visitor, load_user
from ..engine.bucket import Bucket
from ..engine.messages import Broadcast, decode_server, encode
from ..feeds import Feed, registry
from ..publishing.layer import BROADCAST_TYPE, check_seal, sealed
from ..rows.visibility import granted
from ..runtime import metrics
from .audience import name_of
from .fan_out import FAN_OUT_AT_ONCE
from .layer_channel import LayerChannel
from .shared_topic import SharedTopic
from .subscriber import Subscriber, for_each

DELIVERIES_PER_SECOND, MAX_DELIVERIES = 4000.0, 8000.0
"""How many messages to subscribers the broadcasts of all topics may cost a process: per second, and at once."""
TOPIC_SHARE = 100.0
"""How many of these messages per second each topic may cost whatever other topics do; twice as many after a pause."""
RESERVED = 4000.0
"""How many messages a topic that has used its share must leave to other topics, so that a flood in one stops no
other."""
MAX_SENDING, MAX_SENDING_OF_TOPIC = 100, 25
"""How many broadcasts, in all and of one topic, may wait for the channel layer or until rights are known; further ones
are not sent on, or dropped."""
QUESTION_SECONDS, QUESTION_LOOKS = 1.0, 20
"""How long a broadcast waits until rights to its topic are known, and how often the rights are looked at meanwhile."""


class Permit(NamedTuple):
    """Whether a visitor may broadcast to a topic; ``user`` is the primary key of its user, None if not signed in."""

    is_given: bool
    user: Hashable = None
    name: str = ""


def may_be_given(topic: str) -> bool:
    """Return whether the feed of a topic lets any user broadcast.

    Raises: UnknownTopic.
    """
    return type(registry.find(topic)[0]).can_broadcast is not Feed.can_broadcast


def permit(visitor: Visitor, topic: str) -> Permit:
    """Return whether a visitor may broadcast to a topic that it follows. In a database thread.

    Raises: UnknownTopic; what the feed or the database raises.
    """
    feed, key = registry.find(topic)
    user = load_user(visitor)
    if not granted(feed.can_broadcast(user, key), f"can_broadcast of feed {feed.name}"):
        return Permit(False, user.pk)
    return Permit(True, user.pk, name_of(feed.name, user) if feed.presence == "names" else "")


class Broadcasts:
    """The broadcasts that one hub sends and delivers."""

    def __init__(self, topics: Mapping[str, SharedTopic], channel: LayerChannel) -> None:
        """``topics`` are those that the hub holds."""
        self._topics, self._channel = topics, channel
        self._process = secrets.token_hex(8)
        self._deliveries = Bucket(DELIVERIES_PER_SECOND, MAX_DELIVERIES)
        self._shares: WeakKeyDictionary[SharedTopic, Bucket] = WeakKeyDictionary()
        self._tasks: dict[asyncio.Task[None], str] = {}  # with their topics

    def send(self, message: Broadcast, sender: Subscriber) -> None:
        """Send a message to all subscribers of its topic except the sender."""
        shared = self._topics.get(message.topic)
        if shared is None:
            return
        self._deliver(shared, message, sender)
        if self._has_room(message.topic):
            self._begin(message.topic, self._pass_on(shared.group, message))

    def receive(self, message: dict[str, Any]) -> None:
        """Deliver a broadcast of another process.

        Raises: KeyError, TypeError, ValueError, OverflowError or MsgspecError, for one that ``send`` has not made.
        """
        check_seal(message)
        found = decode_server(message["message"])
        if not isinstance(found, Broadcast):
            raise TypeError("it has no broadcast")
        shared = self._topics.get(found.topic)
        if shared is not None and message["process"] != self._process:
            self._deliver(shared, found)

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _pass_on(self, group: str, message: Broadcast) -> None:
        text = encode(message)
        await self._channel.send(
            group, sealed({"type": BROADCAST_TYPE, "process": self._process, "message": text})
        )

    async def _deliver_later(
        self, shared: SharedTopic, message: Broadcast, sender: Subscriber | None
    ) -> None:
        """Deliver when the rights of the subscribers are known again; drop the broadcast if that takes long."""
        for _ in range(QUESTION_LOOKS):
            await asyncio.sleep(QUESTION_SECONDS / QUESTION_LOOKS)
            if not shared.is_in_question:
                break
        self._deliver(shared, message, sender, is_last=True)

    def _deliver(
        self,
        shared: SharedTopic,
        message: Broadcast,
        sender: Subscriber | None = None,
        *,
        is_last: bool = False,
    ) -> None:
        """Deliver now, or a little later where rights are in question and this is not the ``is_last`` attempt."""
        if shared.is_in_question and not is_last and self._has_room(shared.name):
            self._begin(shared.name, self._deliver_later(shared, message, sender))
            return
        receivers = [subscriber for subscriber in shared.subscribers if subscriber is not sender]
        if shared.is_in_question or not self._take(shared, 1 + len(receivers)):
            metrics.broadcasts.labels("dropped").inc()
            return
        metrics.broadcasts.labels("delivered").inc()
        if len(receivers) <= FAN_OUT_AT_ONCE:
            for_each(receivers, lambda subscriber: subscriber.offer(message))
        else:
            self._begin(shared.name, self._deliver_in_steps(receivers, message))

    def _take(self, shared: SharedTopic, cost: int) -> bool:
        """Return whether a topic may cost the process some more deliveries, and count them if it may."""
        now = time.monotonic()
        share = self._shares.setdefault(shared, Bucket(TOPIC_SHARE, 2 * TOPIC_SHARE))
        needed = 1 if share.seconds_until(1, now) == 0 else min(RESERVED + cost, MAX_DELIVERIES)
        if self._deliveries.seconds_until(needed, now) > 0:
            return False
        for bucket in (share, self._deliveries):
            bucket.spend(cost, now)
        return True

    async def _deliver_in_steps(self, receivers: list[Subscriber], message: Broadcast) -> None:
        waiting = iter(receivers)
        while some := list(islice(waiting, FAN_OUT_AT_ONCE)):
            for_each(some, lambda subscriber: subscriber.offer(message))
            await asyncio.sleep(0)

    def _has_room(self, topic: str) -> bool:
        topics = list(self._tasks.values())
        return len(topics) < MAX_SENDING and topics.count(topic) < MAX_SENDING_OF_TOPIC

    def _begin(self, topic: str, work: Any) -> None:
        task = asyncio.create_task(work, name="realtime-broadcast")
        self._tasks[task] = topic
        task.add_done_callback(self._tasks.pop)
