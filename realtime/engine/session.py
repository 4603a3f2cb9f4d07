"""The state machine of one connection: its subscriptions, their cursors, and the next message.

Pure: a connection moves messages between the session and its transport and carries out the results.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable, Sequence, Set
from dataclasses import dataclass

from msgspec import UNSET

from . import messages
from .bucket import Bucket, burst_of
from .codes import Code
from .cohort import Cohort, Sent, Write
from .cursor import Cursor
from .errors import BadMessage, RealtimeError
from .messages import ClientMessage, Encoded, Encoding, Ephemeral, Format, ServerMessage, WireFormat
from .position import Position
from .topic import Topic

BURST_SECONDS = 10
"""A client may send at once what its rate allows in this time."""
MAX_OFFERED = 16
"""How many messages may wait when an ephemeral one is appended; more of these are dropped."""
TOO_MUCH_RETRY_SECONDS = 10.0
"""When a client that exceeded its rate may reconnect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of one connection: how much it may send and leave unread, and how often it gets a heartbeat.

    They are made from ``Conf``, which has the defaults; only limits that are not settings have their values here.
    Units: bytes are characters where messages are text. ``max_silent_bytes`` limits what is sent to a client
           that never acknowledges; None where the server itself waits for slow clients.
    """

    heartbeat_seconds: float
    max_message_bytes: int
    max_broadcast_bytes: int
    max_bad_messages: int
    max_subscriptions: int
    max_unacknowledged_bytes: int
    max_silent_bytes: int | None
    max_messages_per_second: float
    max_bytes_per_second: float
    max_outgoing: int = 256
    acknowledge_bytes: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class Ending:
    """The reason why a session ends; ``retry_after_seconds`` None leaves the time of reconnecting to the client.

    With ``reload`` a page loads itself again instead of reconnecting.
    """

    code: Code
    reason: str
    retry_after_seconds: float | None = None
    reload: bool = False

    @property
    def bye(self) -> messages.Bye:
        delay = UNSET if self.retry_after_seconds is None else self.retry_after_seconds
        return messages.Bye(self.code, self.reason, delay, True if self.reload else UNSET)


MIN_SHARE = 1 / 64
"""What part of ``max_unacknowledged_bytes`` must be left for each topic if a session is to join cohorts: by default 4
KiB, room for several changes."""


@dataclass(slots=True)
class _Subscription:
    topic: Topic
    cursor: Cursor
    answered: int = -1
    """The topic's ``recoveries`` when the subscriber was last answered."""
    is_vouched_for: bool = True
    """Whether the client shows the rows as current."""
    cohort: Cohort | None = None
    """The cohort that sends the changes while the session is in it; ``cursor`` is then the one with which it joined."""
    joined: int = 0
    """The argument for ``leave`` of the cohort."""


class _Unacknowledged:
    """The messages that were sent and are not yet acknowledged, as a bounded number of marks."""

    __slots__ = ("_marks", "_next_mark", "acknowledged", "bytes", "messages", "unacknowledged_beats")

    MARK_BYTES = 16 * 1024

    def __init__(self) -> None:
        self.messages = 0
        self.bytes = 0  # sent in total
        self.unacknowledged_beats = 0
        self.acknowledged = 0  # part of ``bytes``
        self._marks: deque[tuple[int, int]] = deque([(0, 0)])  # (messages, bytes) sent at some moments
        self._next_mark = self.MARK_BYTES

    def add(self, size: int) -> None:
        """Count a message of ``size`` as sent."""
        self.messages += 1
        self.bytes += size
        if self.bytes >= self._next_mark:
            self._marks.append((self.messages, self.bytes))
            self._next_mark = self.bytes + self.MARK_BYTES

    def acknowledge(self, received: int) -> None:
        """Note that the client has received ``received`` messages; their bytes count up to the last mark before."""
        while len(self._marks) > 1 and self._marks[1][0] <= received:
            self._marks.popleft()
        self.acknowledged = max(self.acknowledged, self._marks[0][1])
        if received >= self.messages:
            self.acknowledged = self.bytes
        self.unacknowledged_beats = 0


class Session:
    """One connection: subscriptions with their cursors, and a bounded number of messages to be sent.

    Changes are not queued here: a topic with news is only marked, and ``next`` asks it for what this connection's
    cursor has not seen. So a slow connection needs as much memory as a fast one. The limits bound how much is sent to a
    client beyond what it has acknowledged.
    """

    __slots__ = (
        "_bad_messages", "_behind_seconds", "_bytes", "_has_acknowledged", "_has_doubts", "_is_beat_due",
        "_limits", "_member", "_messages", "_news", "_outgoing", "_part", "_parted", "_parts", "_subscriptions",
        "_unacknowledged", "encoding", "ending", "holds_doubts", "is_beating", "is_doubting",
    )  # fmt: skip

    def __init__(self, limits: Limits, encoding: Encoding = "json") -> None:
        self._limits, self.encoding = limits, encoding
        self._subscriptions: dict[str, _Subscription] = {}
        self._news: dict[str, None] = {}  # names of topics that may have news, oldest first
        self._outgoing: deque[Encoded] = deque()
        self._parts: Sequence[Encoded] = ()  # of a snapshot
        self._part = 0  # the next one of them to be sent
        self._parted = ""  # the topic of that snapshot
        self._is_beat_due = False
        self._has_doubts = (
            False  # whether the client shows a topic as current that is not, or the other way round
        )
        self._behind_seconds = 0.0  # as of the last beat
        self._bad_messages = 0
        rate = limits.max_messages_per_second
        self._messages = Bucket(rate, burst_of(rate, BURST_SECONDS))
        self._bytes = Bucket(limits.max_bytes_per_second, limits.max_bytes_per_second * BURST_SECONDS)
        self._has_acknowledged = False
        self._unacknowledged = _Unacknowledged()
        self._member: Hashable | None = None  # represents this session in cohorts
        self.ending: Ending | None = None
        self.is_beating = False
        """Whether the message that ``next`` returned last is a heartbeat."""
        self.is_doubting = False
        """Whether it is one that was sent because topics are not current, or are again."""
        self.holds_doubts = False
        """Whether no such heartbeat is sent now. It has the positions of all topics, so that under load, where topics
        are late one after the other, one for each would be most of what is sent."""
        self.post(
            messages.Welcome(
                protocol=messages.PROTOCOL,
                heartbeat_seconds=limits.heartbeat_seconds,
                max_message_bytes=limits.max_message_bytes,
                max_broadcast_bytes=limits.max_broadcast_bytes,
                acknowledge_bytes=limits.acknowledge_bytes,
            )
        )

    @property
    def topics(self) -> list[str]:
        return list(self._subscriptions)

    @property
    def unread_bytes(self) -> int:
        """How much was sent and is not acknowledged; messages of cohorts count from the next heartbeat on."""
        return self._unacknowledged.bytes - self._unacknowledged.acknowledged

    # ------------------------------------------------------------ in

    def receive(self, encoded: Encoded, now: float) -> ClientMessage:
        """Return the message that a client sent; ``now`` is any clock's seconds.

        Raises: BadMessage, if it is not a message of the protocol, too long, or exceeds the rate limits.
        """
        # Characters first: a megabyte need not be encoded to see that it is too long.
        limit = self._limits.max_message_bytes
        if len(encoded) > limit or _size(encoded) > limit:
            self.end(Ending(Code.BAD_MESSAGE, f"a message may be at most {limit} bytes long"))
            raise BadMessage(f"over {limit} bytes")
        if not (self._messages.take(1, now) and self._bytes.take(len(encoded), now)):
            limits = self._limits
            rates = f"{limits.max_messages_per_second:g} messages and {limits.max_bytes_per_second:g} bytes a second"
            reason = f"at most {rates}, ten times as much in a burst"
            self.end(Ending(Code.TOO_MUCH, reason, TOO_MUCH_RETRY_SECONDS))
            raise BadMessage("over the rate limits")
        if isinstance(encoded, str) != (self.encoding == "json"):
            kind = "text" if self.encoding == "json" else "binary"
            raise BadMessage(f"realtime.v1.{self.encoding} requires {kind} messages")
        return messages.decode_client(encoded)

    def refuse(self, error: RealtimeError, topic: str | None = None) -> messages.Error:
        """Post an error message and return it; end the session after too many bad messages."""
        refusal = messages.Error(code=error.code, message=str(error), topic=UNSET if topic is None else topic)
        self.post(refusal)
        if isinstance(error, BadMessage):
            self._bad_messages += 1
            if self._bad_messages >= self._limits.max_bad_messages:
                self.end(Ending(Code.BAD_MESSAGE, f"{self._bad_messages} bad messages"))
        return refusal

    def acknowledge(self, received: int) -> None:
        """Note how many messages the client has received, so that more may be sent.

        Raises: BadMessage, if it is more than were sent.
        """
        self.leave()
        if not 0 <= received <= self._unacknowledged.messages:
            raise BadMessage(
                f"{received} messages acknowledged, but {self._unacknowledged.messages} were sent"
            )
        self._has_acknowledged = True
        self._unacknowledged.acknowledge(received)

    # ------------------------------------------------------------ subscriptions

    def subscribe(self, topic: Topic, position: Position | None, format: Format) -> None:
        """Follow a topic from a position on; ``next`` returns the answer, an empty change set if nothing is new."""
        self.unsubscribe(topic.name)
        cursor = topic.cursor(position, WireFormat(format, self.encoding))
        topic.signalled += cursor.wire_format.has_signals
        self._subscriptions[topic.name] = _Subscription(topic, cursor)
        self._news[topic.name] = None

    def has_room_for(self, topic: str, requested: Set[str]) -> bool:
        """Return whether a topic may be followed. ``requested`` are the topics that will soon be, with this one."""
        topics = self._subscriptions.keys() | requested
        return topic in self._subscriptions or len(topics) <= self._limits.max_subscriptions

    def unsubscribe(self, topic: str) -> None:
        self.leave()
        ended = self._subscriptions.pop(topic, None)
        if ended is not None:
            ended.topic.signalled -= ended.cursor.wire_format.has_signals
        self._news.pop(topic, None)
        if topic == self._parted:
            self._parts, self._part = (), 0

    def notify(self, topic: str) -> None:
        """Mark a topic as one that may have news; ``next`` checks."""
        self.leave()
        if topic in self._subscriptions:
            self._news[topic] = None

    # ------------------------------------------------------------ in step with others

    def join(self, member: Hashable, write: Write) -> None:
        """Let cohorts send the changes of topics from now on, where other sessions have been sent the same messages.

        ``member`` represents this session there; ``write`` writes to its client. Do nothing while something is to be
        sent, or must be acknowledged soon.
        """
        if self.is_waiting or self.ending is not None or self._member is not None:
            return
        room = self._room()
        # A cohort dissolves when a member has no room left. With many topics that is soon, and then all are left.
        limit, share = self._limits.max_unacknowledged_bytes, room / max(1, len(self._subscriptions))
        if room < limit / 2 or share < limit * MIN_SHARE:
            return
        for subscription in self._subscriptions.values():
            topic = subscription.topic
            cohort = topic.cohort_at(subscription.cursor, subscription.answered)
            if cohort is not None and subscription.is_vouched_for:
                subscription.joined = cohort.join(member, write, share)
                subscription.cohort, subscription.cursor = cohort, cohort.cursor
                self._member = member

    def leave(self) -> None:
        """Leave all cohorts: with cursors of its own, and with the messages counted that the cohorts have sent."""
        if self._member is None:
            return
        sent: list[Sent] = []
        for subscription in self._subscriptions.values():
            if subscription.cohort is not None:
                subscription.cursor, more = subscription.cohort.leave(self._member, subscription.joined)
                subscription.cohort = None
                sent += more
        for message in sorted(sent):
            self._unacknowledged.add(message.size)
        self._member = None

    def _room(self) -> float:
        """Return how many bytes may be sent before something must be acknowledged."""
        limits, unacknowledged = self._limits, self._unacknowledged
        room = limits.max_unacknowledged_bytes + unacknowledged.acknowledged - unacknowledged.bytes
        if self._has_acknowledged:
            return room
        silent = math.inf if limits.max_silent_bytes is None else limits.max_silent_bytes
        return max(room, silent - unacknowledged.bytes)

    # ------------------------------------------------------------ out

    def post(self, message: ServerMessage) -> None:
        """Append a message; end the session when more wait than the limit allows, so that memory is bounded."""
        if self.ending is not None:
            return
        if len(self._outgoing) >= self._limits.max_outgoing:
            self._outgoing.clear()
            self.end(Ending(Code.TOO_SLOW, f"{self._limits.max_outgoing} messages were waiting to be read"))
            return
        self._outgoing.append(messages.encode(message, self.encoding))

    def offer(self, message: Ephemeral) -> bool:
        """Append an ephemeral message of a topic that is followed; return False if it is dropped.

        It is dropped if the client is slow: such a message must neither end a connection nor fill the memory.
        """
        has_room = len(self._outgoing) < MAX_OFFERED and self.ending is None
        if message.topic not in self._subscriptions or not has_room:
            return False
        self.post(message)
        return True

    def beat(self, behind_seconds: float = 0.0) -> None:
        """Check every topic once more, then send a heartbeat with the positions of all topics."""
        self._behind_seconds = behind_seconds
        self._news.update(dict.fromkeys(self._subscriptions))
        self._is_beat_due = True

    def pulse(self, behind_seconds: float = 0.0) -> None:
        """Send a heartbeat, every ``heartbeat_seconds``. End the session if two heartbeats were not acknowledged."""
        if self._has_acknowledged and self._unacknowledged.unacknowledged_beats >= 2:
            self.end(Ending(Code.TOO_SLOW, "two heartbeats were not acknowledged"))
        self._unacknowledged.unacknowledged_beats += 1
        self.beat(behind_seconds)

    def end(self, ending: Ending) -> None:
        """Post a bye with the reason, and close after the messages that already wait; the first ending stands."""
        if self.ending is None:
            self.post(ending.bye)
            self.ending = self.ending or ending

    @property
    def is_waiting(self) -> bool:
        """Whether there may be something to send."""
        return bool(self._news or self._outgoing or self._must_beat) or not self.is_whole

    @property
    def _must_beat(self) -> bool:
        return self._is_beat_due or (self._has_doubts and not self.holds_doubts)

    def next(self) -> Encoded | None:
        """Return the message to send now; None if there is none, or if an acknowledgement is needed first."""
        self.leave()
        self.is_beating = self.is_doubting = False
        message = None if self._must_wait() else self._next()
        if message is not None:
            self._unacknowledged.add(len(message))
        return message

    def _must_wait(self) -> bool:
        """Return whether an acknowledgement is needed before the next message; never for a session's last messages."""
        limits, unacknowledged = self._limits, self._unacknowledged
        waiting = unacknowledged.bytes - unacknowledged.acknowledged
        if waiting <= limits.max_unacknowledged_bytes or self.ending is not None:
            return False
        if self._has_acknowledged:
            return True
        if limits.max_silent_bytes is not None and unacknowledged.bytes > limits.max_silent_bytes:
            self._outgoing.clear()
            reason = f"{unacknowledged.bytes} bytes sent without an acknowledgement; reconnect and resume"
            self.end(Ending(Code.TOO_SLOW, reason))
        return False

    def _next(self) -> Encoded | None:
        if self._outgoing:
            return self._outgoing.popleft()
        if self.ending is not None:
            return None
        if not self.is_whole:
            return self._next_part()
        while self._news:
            name = next(iter(self._news))
            del self._news[name]
            subscription = self._subscriptions[name]
            if not subscription.topic.is_readable:
                continue  # when it can be read again, its subscribers are notified
            news = subscription.topic.advance(subscription.cursor)
            if not news and subscription.answered != subscription.topic.recoveries:
                news = self._nothing_new(subscription)
            is_current = subscription.topic.is_current
            # The client shows rows that it was sent as current: a heartbeat must follow that leaves this topic out.
            if is_current != subscription.is_vouched_for or (news and not is_current):
                subscription.is_vouched_for = is_current
                self._has_doubts = True
            if news:
                subscription.answered = subscription.topic.recoveries
                self._parts, self._part, self._parted = news, 0, name
                return self._next_part()
        if self._must_beat:
            self.is_beating, self.is_doubting = True, self._has_doubts
            self._is_beat_due = self._has_doubts = False
            return messages.encode(self._heartbeat(), self.encoding)
        return None

    def _next_part(self) -> Encoded:
        message = self._parts[self._part]
        self._part += 1
        if self.is_whole:
            self._parts, self._part = (), 0
        return message

    @property
    def is_whole(self) -> bool:
        """Whether ``positions`` covers everything that was sent: False while a snapshot has been sent only in part."""
        return self._part >= len(self._parts)

    def positions(self, topics: Sequence[str]) -> list[Position | None]:
        """Return the position sent so far of each topic; None if it is not followed, or not yet answered."""
        return [
            subscription.topic.position_of(subscription.cursor) if subscription is not None else None
            for subscription in map(self._subscriptions.get, topics)
        ]

    def _heartbeat(self) -> messages.Heartbeat:
        """Return a heartbeat with the topics' positions; all changes and parts of snapshots have been sent before.

        Topics that cannot be read, or lack something, are left out: the client shows them as not current.
        """
        positions, digests = {}, {}
        for name, subscription in self._subscriptions.items():
            position = subscription.topic.position_of(subscription.cursor)
            if position is None or not subscription.topic.is_readable or not subscription.topic.is_current:
                continue
            positions[name] = str(position)
            digest = subscription.topic.digest_at(subscription.cursor)
            if digest is not None:
                digests[name] = digest
        behind_seconds = messages.noticeable(self._behind_seconds)
        return messages.Heartbeat(positions, digests, UNSET if behind_seconds is None else behind_seconds)

    def _nothing_new(self, subscription: _Subscription) -> Sequence[Encoded]:
        """Return the answer to a subscribe from the current position: an empty change set."""
        position = subscription.topic.position_of(subscription.cursor)
        if position is None:
            return []
        digest = subscription.topic.digest_at(subscription.cursor)
        answer = messages.Changes(
            topic=subscription.topic.name,
            after=position.offset,
            position=str(position),
            changes=[],
            digest=UNSET if digest is None else digest,
            signal=subscription.topic.signal_of(subscription.cursor),
            spread_seconds=subscription.topic.spread_of(subscription.cursor.wire_format),
        )
        return [messages.encode(answer, self.encoding)]


def _size(encoded: Encoded) -> int:
    return len(encoded.encode("utf-8", "surrogatepass") if isinstance(encoded, str) else encoded)
