"""One connection's state machine: what it asked for, how far it has been brought, what goes out next.

Pure: the consumer moves texts between it and the socket and carries out what it returns.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from msgspec import UNSET

from . import messages
from .codes import Code
from .errors import BadMessage, RealtimeError
from .messages import ClientMessage, Format, ServerMessage
from .position import Position
from .topic import Cursor, Topic


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may do, and how often it hears from us."""

    heartbeat_seconds: float = 15
    max_message_bytes: int = 16 * 1024
    max_bad_messages: int = 10
    max_subscriptions: int = 128
    max_outgoing: int = 256


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


class Session:
    """One connection: subscriptions with their cursors, and the few messages that wait to go out.

    Nothing that changes is queued here: a topic with news is only marked, and ``take`` asks it what this
    connection's cursor has not seen. So a slow connection costs the same memory as a quick one.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._subscriptions: dict[str, _Subscription] = {}
        self._news: dict[str, None] = {}  # names of topics that may have something new, oldest first
        self._outgoing: deque[str] = deque()
        self._is_beat_due = False
        self._bad_messages = 0
        self.ending: Ending | None = None
        self.post(
            messages.Welcome(
                protocol=messages.PROTOCOL,
                heartbeat_seconds=limits.heartbeat_seconds,
                max_message_bytes=limits.max_message_bytes,
            )
        )

    @property
    def topics(self) -> list[str]:
        return list(self._subscriptions)

    # ------------------------------------------------------------ in

    def receive(self, text: str | None) -> ClientMessage:
        """Return what the client asks for; None stands for a binary message.

        Raises: BadMessage, when it is none of the protocol's.
        """
        if text is None:
            raise BadMessage(f"binary; {messages.JSON_SUBPROTOCOL} takes text")
        # Characters first: no need to encode a megabyte to know that it is too long.
        limit = self._limits.max_message_bytes
        if len(text) > limit or len(text.encode("utf-8", "surrogatepass")) > limit:
            self.end(Ending(Code.BAD_MESSAGE, f"a message may be {limit} bytes long"))
            raise BadMessage(f"over {limit} bytes")
        return messages.decode_client(text)

    def refuse(self, error: RealtimeError, topic: str | None = None) -> None:
        """Tell the client what was wrong; end the session when it does not learn."""
        name = UNSET if topic is None else topic
        self.post(messages.Error(code=error.code, message=str(error), topic=name))
        if isinstance(error, BadMessage):
            self._bad_messages += 1
            if self._bad_messages >= self._limits.max_bad_messages:
                self.end(Ending(Code.BAD_MESSAGE, f"{self._bad_messages} bad messages"))

    # ------------------------------------------------------------ subscriptions

    def subscribe(self, topic: Topic, position: Position | None, format: Format) -> None:
        """Follow a topic from a position on; the answer, if only "nothing new", goes out at once."""
        cursor = topic.cursor(position, format)
        self._subscriptions[topic.name] = _Subscription(topic, cursor)
        answer = topic.advance(cursor)
        if not answer and cursor.offset is not None:
            answer = [
                messages.encode(
                    messages.Changes(
                        topic=topic.name, after=cursor.offset, position=str(position), changes=[]
                    )
                )
            ]
        for text in answer:
            self._queue(text)

    def has_room_for(self, topic: str) -> bool:
        return topic in self._subscriptions or len(self._subscriptions) < self._limits.max_subscriptions

    def unsubscribe(self, topic: str) -> None:
        self._subscriptions.pop(topic, None)
        self._news.pop(topic, None)

    def notify(self, topic: str) -> None:
        """Mark a topic that may have news; ``take`` finds out."""
        if topic in self._subscriptions:
            self._news[topic] = None

    # ------------------------------------------------------------ out

    def post(self, message: ServerMessage) -> None:
        self._queue(messages.encode(message))

    def beat(self) -> None:
        """Look at every topic once more, and tell the client how far it has been brought, when it next reads."""
        self._news.update(dict.fromkeys(self._subscriptions))
        self._is_beat_due = True

    def end(self, ending: Ending) -> None:
        """Say why and close after what is already waiting; the first ending stands."""
        if self.ending is None:
            delay = UNSET if ending.retry_after_seconds is None else ending.retry_after_seconds
            self.post(messages.Bye(code=ending.code, reason=ending.reason, retry_after_seconds=delay))
            self.ending = ending

    def take(self) -> list[str]:
        """Return the messages to write now, in order; empty when there is nothing to say."""
        taken = list(self._outgoing)
        self._outgoing.clear()
        if self.ending is not None:
            return taken
        news = [self._subscriptions[name] for name in self._news]
        self._news.clear()
        taken += [text for subscription in news for text in subscription.topic.advance(subscription.cursor)]
        if self._is_beat_due:
            self._is_beat_due = False
            taken.append(messages.encode(messages.Heartbeat(positions=self._positions())))
        return taken

    def _positions(self) -> dict[str, str]:
        positions = {}
        for name, subscription in self._subscriptions.items():
            position = subscription.topic.position_of(subscription.cursor)
            if position is not None:
                positions[name] = str(position)
        return positions

    def _queue(self, text: str) -> None:
        """Append a message; a client that asks faster than it reads is cut off, not remembered."""
        if self.ending is not None:
            return
        if len(self._outgoing) >= self._limits.max_outgoing:
            self._outgoing.clear()
            self.end(Ending(Code.TOO_SLOW, f"{self._limits.max_outgoing} messages were waiting to be read"))
            return
        self._outgoing.append(text)
