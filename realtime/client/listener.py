"""The listener: yields the viewers of a topic and the broadcasts of its subscribers. It has no rows."""

import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from ..engine import messages
from ..engine.messages import ServerMessage
from .subscription import Headers, Subscription


@dataclass(frozen=True, slots=True)
class Presence:
    """How many connections follow the topic, this one included, and the names of those that have one.

    ``names``, and those that have ``joined`` and ``left`` since the previous one, are empty unless the feed's
    ``presence`` is "names".
    """

    viewers: int
    names: tuple[str, ...] = ()
    joined: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Broadcast:
    """A message of another subscriber; the server vouches for ``sender``, its connection, and ``name``, its user.

    ``payload`` is a value that JSON has, or bytes.
    """

    event: str
    payload: Any
    sender: str
    name: str


def listen(
    url: str,
    topic: str,
    *,
    headers: Headers | Callable[[], Headers | Awaitable[Headers]] | None = None,
    cookies: Mapping[str, str] | None = None,
    ticket: Callable[[], str | Awaitable[str]] | None = None,
    origin: str | None = None,
    random: Callable[[], float] = random.random,
    **options: Any,
) -> "Listener":
    """Listen to a topic; iterate over the returned object, by ``async for`` or ``for``, for presence and broadcasts.

    The options are those of ``follow``. Broadcasts that are sent while there is no connection are missed.

    Raises: ValueError, for another kind of address; when it is iterated, Refused.
    """
    return Listener(
        url, topic, format="signal", headers=headers, cookies=cookies, ticket=ticket, origin=origin, random=random,
        **options,
    )  # fmt: skip


class Listener(Subscription[Presence | Broadcast]):
    """The presence of one topic, and the broadcasts to it; ``listen`` makes it."""

    presence: Presence | None = None
    """The server's last presence message; None before the first one, and for a feed without ``presence``."""

    def _receive(self, message: ServerMessage) -> Iterable[Presence | Broadcast]:
        self._replica.receive(message)
        match message:
            case messages.Presence(topic=self.topic):
                return self._presence(message)
            case messages.Broadcast(topic=self.topic):
                return [_broadcast(message)]
        return []

    def _presence(self, message: messages.Presence) -> list[Presence | Broadcast]:
        before = Presence(0) if self.presence is None else self.presence
        names = () if isinstance(message.names, UnsetType) else tuple(message.names)
        if self.presence is not None and (message.viewers, names) == (before.viewers, before.names):
            return []
        self.presence = Presence(
            message.viewers,
            names,
            joined=tuple(name for name in names if name not in before.names),
            left=tuple(name for name in before.names if name not in names),
        )
        return [self.presence]


def _broadcast(message: messages.Broadcast) -> Broadcast:
    if isinstance(message.data, UnsetType):
        payload = None if isinstance(message.payload, UnsetType) else msgspec.json.decode(message.payload)
    else:
        payload = message.data
    sender, name = ("" if each is UNSET else str(each) for each in (message.sender, message.name))
    return Broadcast(message.event, payload, sender, name)
