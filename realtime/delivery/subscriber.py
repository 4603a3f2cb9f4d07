"""The part of a connection that the hub uses; ``transports.connection`` implements it."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple, Protocol

from ..access.visitors import Visitor
from ..engine.codes import Code
from ..engine.messages import Ephemeral, ServerMessage
from ..engine.session import Ending
from ..runtime.client_log import SERVER_FAILED

logger = logging.getLogger("realtime.connection")


class ConnectionState(NamedTuple):
    """The state of a connection, for operators."""

    name: str
    """As in the log; empty for a poll, which has none."""
    transport: Literal["websocket", "stream", "poll"]
    open_seconds: float
    unread_bytes: int
    """Bytes that were sent and are not acknowledged."""


class Subscriber(Protocol):
    """A connection that is subscribed to topics. Its methods must not block."""

    visitor: Visitor
    address: str | None
    """The client's address for limits; None if it is unknown."""

    @property
    def writer(self) -> asyncio.Task[None] | None:
        """The task that sends messages which the server did not accept at once; None if there is none."""
        ...

    @property
    def topics(self) -> list[str]:
        """The topics that it follows or has requested."""
        ...

    @property
    def state(self) -> ConnectionState:
        """The figures that operators are shown."""
        ...

    def notify(self, topic: str) -> None:
        """Send the news of a topic."""

    def post(self, message: ServerMessage) -> None:
        """Send a message."""

    def offer(self, message: Ephemeral) -> bool:
        """Send a message that may be lost; return False if it is, because the client is slow or not subscribed yet."""
        ...

    def pulse(self) -> None:
        """Send a heartbeat."""

    def revoke(self, topic: str) -> None:
        """End the subscription of a topic that its visitor may no longer read."""

    def end(self, ending: Ending) -> None:
        """Close the connection after sending the reason."""


def for_each(subscribers: Iterable[Subscriber], act: Callable[[Subscriber], object]) -> None:
    """Call ``act`` for each subscriber; a connection for which it fails is closed, and the others continue."""
    for subscriber in list(subscribers):
        try:
            act(subscriber)
        except Exception as error:
            logger.exception("a connection has failed and is closed: %s", error)
            with contextlib.suppress(Exception):
                subscriber.end(Ending(Code.INTERNAL, SERVER_FAILED))
