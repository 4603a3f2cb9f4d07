"""One connection's state machine: what it asked for, how far it has been brought, what goes out next.

Pure: a connection moves messages between it and its transport and carries out what it returns.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import UNSET

from . import messages
from .bucket import Bucket
from .codes import Code
from .errors import BadMessage, RealtimeError
from .messages import ClientMessage, Encoded, Encoding, Form, Format, ServerMessage
from .position import Position
from .topic import Cursor, Topic

BURST_SECONDS = 10
"""How long a client may save up what it may send."""
REST_SECONDS = 10.0
"""How long a client that sent too much is told to stay away."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may do, how often it hears from us, and how much it may leave unread.

    Units: bytes are characters where messages are text. ``max_silent_bytes``: how much a client gets that
           never acknowledges anything; None where the server itself waits for slow readers.
    """

    heartbeat_seconds: float = 15
    max_message_bytes: int = 16 * 1024
    max_bad_messages: int = 10
    max_subscriptions: int = 128
    max_outgoing: int = 256
    acknowledge_bytes: int = 64 * 1024
    max_unacknowledged_bytes: int = 256 * 1024
    max_silent_bytes: int | None = 8 * 1024 * 1024
    max_messages_per_second: float = 20
    max_bytes_per_second: float = 16 * 1024


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a session is over; ``retry_after_seconds`` None: the client's own backoff decides."""

    code: Code
    reason: str
    retry_after_seconds: float | None = None


@dataclass(slots=True)
class _Subscription:
    topic: Topic
    cursor: Cursor
    is_answered: bool = False


class _Unacknowledged:
    """What was sent and not yet acknowledged, in a few marks however much it is."""

    __slots__ = ("_marks", "_next_mark", "acknowledged", "bytes", "messages", "unheard_beats")

    MARK_BYTES = 16 * 1024

    def __init__(self) -> None:
        self.messages = 0
        self.bytes = 0  # all that was sent
        self.unheard_beats = 0
        self.acknowledged = 0  # of these bytes
        self._marks: deque[tuple[int, int]] = deque([(0, 0)])  # messages and bytes sent at some moments
        self._next_mark = self.MARK_BYTES

    def sent(self, size: int) -> None:
        self.messages += 1
        self.bytes += size
        if self.bytes >= self._next_mark:
            self._marks.append((self.messages, self.bytes))
            self._next_mark = self.bytes + self.MARK_BYTES

    def take(self, received: int) -> None:
        """Note what the client has received: everything, or as far as the last mark before it."""
        while len(self._marks) > 1 and self._marks[1][0] <= received:
            self._marks.popleft()
        self.acknowledged = max(self.acknowledged, self._marks[0][1])
        if received >= self.messages:
            self.acknowledged = self.bytes
        self.unheard_beats = 0


class Session:
    """One connection: subscriptions with their cursors, and the few messages that wait to go out.

    Nothing that changes is queued here: a topic with news is only marked, and ``next`` asks it what this
    connection's cursor has not seen. So a slow connection costs the same memory as a quick one. One that
    acknowledges what it receives gets no further ahead of its acknowledgements than the limits say.
    """

    __slots__ = (
        "_bad_messages", "_bytes", "_encoding", "_has_acknowledged", "_is_beat_due", "_limits", "_messages", "_news",
        "_outgoing", "_parted", "_parts", "_subscriptions", "_unacknowledged", "ending",
    )  # fmt: skip

    def __init__(self, limits: Limits, encoding: Encoding = "json") -> None:
        self._limits, self._encoding = limits, encoding
        self._subscriptions: dict[str, _Subscription] = {}
        self._news: dict[str, None] = {}  # names of topics that may have something new, oldest first
        self._outgoing: deque[Encoded] = deque()
        self._parts: deque[Encoded] = deque()  # the rest of a snapshot that is under way
        self._parted = ""  # its topic
        self._is_beat_due = False
        self._bad_messages = 0
        self._messages = Bucket(
            limits.max_messages_per_second, limits.max_messages_per_second * BURST_SECONDS
        )
        self._bytes = Bucket(limits.max_bytes_per_second, limits.max_bytes_per_second * BURST_SECONDS)
        self._has_acknowledged = False
        self._unacknowledged = _Unacknowledged()
        self.ending: Ending | None = None
        self.post(
            messages.Welcome(
                protocol=messages.PROTOCOL,
                heartbeat_seconds=limits.heartbeat_seconds,
                max_message_bytes=limits.max_message_bytes,
                acknowledge_bytes=limits.acknowledge_bytes,
            )
        )

    @property
    def topics(self) -> list[str]:
        return list(self._subscriptions)

    # ------------------------------------------------------------ in

    def receive(self, encoded: Encoded, now: float) -> ClientMessage:
        """Return what the client asks for; ``now`` is any clock's seconds.

        Raises: BadMessage, when it is none of the protocol's, too long, or one too many.
        """
        # Characters first: no need to encode a megabyte to know that it is too long.
        limit = self._limits.max_message_bytes
        if len(encoded) > limit or _size(encoded) > limit:
            self.end(Ending(Code.BAD_MESSAGE, f"a message may be {limit} bytes long"))
            raise BadMessage(f"over {limit} bytes")
        if not (self._messages.take(1, now) and self._bytes.take(len(encoded), now)):
            limits = self._limits
            words = f"{limits.max_messages_per_second:g} messages and {limits.max_bytes_per_second:g} bytes a second"
            self.end(Ending(Code.TOO_MUCH, f"no more than {words}, ten times as many at once", REST_SECONDS))
            raise BadMessage("more than is allowed in so short a time")
        if isinstance(encoded, str) != (self._encoding == "json"):
            takes = "text" if self._encoding == "json" else "binary"
            raise BadMessage(f"realtime.v1.{self._encoding} takes {takes} messages")
        return messages.decode_client(encoded)

    def refuse(self, error: RealtimeError, topic: str | None = None) -> messages.Error:
        """Tell the client what was wrong, and return it; end the session when it does not learn."""
        told = messages.Error(code=error.code, message=str(error), topic=UNSET if topic is None else topic)
        self.post(told)
        if isinstance(error, BadMessage):
            self._bad_messages += 1
            if self._bad_messages >= self._limits.max_bad_messages:
                self.end(Ending(Code.BAD_MESSAGE, f"{self._bad_messages} bad messages"))
        return told

    def acknowledge(self, received: int) -> None:
        """Note how many messages the client has received: what was held back for it may go on.

        Raises: BadMessage, for more than it was sent.
        """
        if not 0 <= received <= self._unacknowledged.messages:
            raise BadMessage(f"{received} messages received, of {self._unacknowledged.messages} sent")
        self._has_acknowledged = True
        self._unacknowledged.take(received)

    # ------------------------------------------------------------ subscriptions

    def subscribe(self, topic: Topic, position: Position | None, format: Format) -> None:
        """Follow a topic from a position on; ``next`` answers, if only by "nothing new"."""
        self.unsubscribe(topic.name)
        cursor = topic.cursor(position, Form(format, self._encoding))
        self._subscriptions[topic.name] = _Subscription(topic, cursor)
        self._news[topic.name] = None

    def has_room_for(self, topic: str) -> bool:
        return topic in self._subscriptions or len(self._subscriptions) < self._limits.max_subscriptions

    def unsubscribe(self, topic: str) -> None:
        self._subscriptions.pop(topic, None)
        self._news.pop(topic, None)
        if topic == self._parted:
            self._parts.clear()

    def notify(self, topic: str) -> None:
        """Mark a topic that may have news; ``next`` finds out."""
        if topic in self._subscriptions:
            self._news[topic] = None

    # ------------------------------------------------------------ out

    def post(self, message: ServerMessage) -> None:
        """Append a message; a client that asks faster than it reads is cut off, not remembered."""
        if self.ending is not None:
            return
        if len(self._outgoing) >= self._limits.max_outgoing:
            self._outgoing.clear()
            self.end(Ending(Code.TOO_SLOW, f"{self._limits.max_outgoing} messages were waiting to be read"))
            return
        self._outgoing.append(messages.encode(message, self._encoding))

    def beat(self) -> None:
        """Look at every topic once more, and tell the client how far it has been brought, when it next reads."""
        self._news.update(dict.fromkeys(self._subscriptions))
        self._is_beat_due = True

    def pulse(self) -> None:
        """Beat, as happens every ``heartbeat_seconds``; end where two beats were not acknowledged."""
        if self._has_acknowledged and self._unacknowledged.unheard_beats >= 2:
            self.end(Ending(Code.TOO_SLOW, "two heartbeats were not acknowledged"))
        self._unacknowledged.unheard_beats += 1
        self.beat()

    def end(self, ending: Ending) -> None:
        """Say why and close after what is already waiting; the first ending stands."""
        if self.ending is None:
            delay = UNSET if ending.retry_after_seconds is None else ending.retry_after_seconds
            self.post(messages.Bye(code=ending.code, reason=ending.reason, retry_after_seconds=delay))
            self.ending = self.ending or ending

    @property
    def is_waiting(self) -> bool:
        """Whether there may be something to say."""
        return bool(self._news or self._outgoing or self._parts or self._is_beat_due)

    def next(self) -> Encoded | None:
        """Return the message to write now, None when there is nothing to say, or nobody who takes it."""
        message = None if self._is_held() else self._next()
        if message is not None:
            self._unacknowledged.sent(len(message))
        return message

    def _is_held(self) -> bool:
        """Whether what was sent has to be acknowledged first. A farewell waits for nobody."""
        limits, unacknowledged = self._limits, self._unacknowledged
        waiting = unacknowledged.bytes - unacknowledged.acknowledged
        if waiting <= limits.max_unacknowledged_bytes or self.ending is not None:
            return False
        if self._has_acknowledged:
            return True
        if limits.max_silent_bytes is not None and unacknowledged.bytes > limits.max_silent_bytes:
            self._outgoing.clear()
            words = f"{unacknowledged.bytes} bytes and no acknowledgement; come back and go on"
            self.end(Ending(Code.TOO_SLOW, words))
        return False

    def _next(self) -> Encoded | None:
        if self._outgoing:
            return self._outgoing.popleft()
        if self.ending is not None:
            return None
        if self._parts:
            return self._parts.popleft()
        while self._news:
            name = next(iter(self._news))
            del self._news[name]
            subscription = self._subscriptions[name]
            news = subscription.topic.advance(subscription.cursor)
            if not news and not subscription.is_answered:
                news = self._nothing_new(subscription)
            if news:
                subscription.is_answered = True
                self._parts.extend(news[1:])
                self._parted = name
                return news[0]
        if self._is_beat_due:
            self._is_beat_due = False
            return messages.encode(messages.Heartbeat(positions=self._positions()), self._encoding)
        return None

    @property
    def is_whole(self) -> bool:
        """Whether all that was sent belongs to ``positions``: no snapshot is half way out."""
        return not self._parts

    def positions(self, topics: Sequence[str]) -> list[Position | None]:
        """Return how far each topic has been brought; None for one that is not followed, or not yet."""
        return [
            subscription.topic.position_of(subscription.cursor) if subscription is not None else None
            for subscription in map(self._subscriptions.get, topics)
        ]

    def _positions(self) -> dict[str, str]:
        names = self.topics
        return {
            name: str(at) for name, at in zip(names, self.positions(names), strict=True) if at is not None
        }

    def _nothing_new(self, subscription: _Subscription) -> Sequence[Encoded]:
        """Return the answer to a subscribe that has nothing to catch up with: you are live."""
        position = subscription.topic.position_of(subscription.cursor)
        if position is None:
            return []
        answer = messages.Changes(
            topic=subscription.topic.name, after=position.offset, position=str(position), changes=[]
        )
        return [messages.encode(answer, self._encoding)]


def _size(encoded: Encoded) -> int:
    return len(encoded.encode("utf-8", "surrogatepass") if isinstance(encoded, str) else encoded)
