"""A connection of any transport: its session, its subscriptions at the hub, and when messages are sent.

A transport (``consumers.py``, ``sse.py``) passes in the client's messages, and functions that send to the client.
"""

import asyncio
import itertools
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import lru_cache
from typing import Any

from ..access.handshake import Handshake
from ..access.limits import Place, TooMuch
from ..access.visitors import Visitor
from ..conf import Conf, get_conf
from ..engine import messages
from ..engine.codes import Code
from ..engine.errors import BadMessage, Forbidden, RealtimeError
from ..engine.messages import Ack, Call, Encoded, Encoding, Ping, ServerMessage, Subscribe
from ..engine.position import Position
from ..engine.session import Ending, Limits, Session
from ..engine.topic import Topic
from ..runtime.asgi_types import Event, Send
from ..runtime.client_log import SORRY, ClientLog
from ..servers.frames import Writer
from ..service import Service, draining
from .calls import answer

_numbers = itertools.count(1)


class Connection:
    """One client's connection, the hub's subscriber. Decides nothing itself: its session does."""

    __slots__ = (
        "_address", "_asked", "_close", "_frame", "_is_over", "_is_writing", "_opened_at", "_place", "_send",
        "_service", "_write", "log", "name", "session", "visitor", "writer",
    )  # fmt: skip

    def __init__(
        self,
        service: Service,
        handshake: Handshake,
        visitor: Visitor,
        place: Place | None,
        send: Send,
        frame: Callable[[Session, Encoded], Event],
        close: Callable[[Ending], Awaitable[None]],
        encoding: Encoding = "json",
        waits: bool = True,
        write: Writer | None = None,
    ) -> None:
        """Make a connection that sends nothing before ``open``.

        ``place`` is left at the end; it is None for a connection that was refused one. ``send`` is the server's, and
        ``frame`` returns the event with a message for it. ``waits`` is true if ``send`` waits while the client does
        not read. ``write``, which some servers have, writes a message at once or returns False: then it is sent.
        """
        self.name = f"c{next(_numbers)}"
        self.log = ClientLog(handshake.client, self.name)
        self.visitor, self._address = visitor, handshake.address
        self.session = Session(_limits(get_conf(), waits), encoding)
        self.writer: asyncio.Task[None] | None = None  # while a send waits
        self._service, self._place = service, place
        self._send, self._frame, self._close, self._write = send, frame, close, write
        self._asked: set[str] = set()  # topics that are being read for a subscribe
        self._is_writing = True  # nothing is sent before ``open``
        self._is_over = False
        self._opened_at = time.monotonic()

    def open(self, ending: Ending | None = None) -> None:
        """Send the welcome and what the hub has from now on; or, with an ending, only that and close."""
        if self._service.is_stopping:
            ending = draining()
        if ending is not None:
            self.log.warning("refused: %s", ending.reason)
            self.session.end(ending)
        self._service.hub.connect(self)
        self._is_writing = False
        self._push()

    async def close(self, code: int | str, *, is_cut_off: bool = False) -> None:
        """Give up everything the connection has. ``is_cut_off``: by us, so send a bye if that is still possible."""
        self._service.hub.disconnect(self, self.topics)
        if self._place is not None:
            self._place.leave()
        if self.writer is not None:
            self.writer.cancel()
        if is_cut_off and not self._is_over:
            self.session.end(draining())
            await self._flush(self.session.next())
        self._is_over = True
        self.log.info("close %s after %.1f s", code, time.monotonic() - self._opened_at)

    # ------------------------------------------------------------ messages of the client

    async def receive(self, encoded: Encoded) -> None:
        """Carry out one message of the client."""
        if self.session.ending is not None:
            return
        try:
            await self._carry_out(self.session.receive(encoded, time.monotonic()))
        except BadMessage as error:
            self.log.warning("message refused: %s", error)
            self.session.refuse(error)
        self._push()

    async def _carry_out(self, message: messages.ClientMessage) -> None:
        match message:
            case Subscribe():
                await self.subscribe(message)
            case messages.Unsubscribe(topic=topic):
                self.log.info("message unsubscribe %r", topic[:200])
                self._drop(topic)
            case Call():
                self.session.post(await answer(self._service, self.visitor, self._address, message, self.log))
            case Ping():
                self.log.debug("message ping")
                self.session.beat()
            case Ack(received=received):
                self.session.acknowledge(received)

    async def subscribe(self, message: Subscribe) -> messages.Error | None:
        """Follow a topic; if it is refused, return the error that the client is sent."""
        name = message.topic
        self._asked.add(name)
        try:
            position, topic = await self._find(message)
            if name not in self._asked:  # the right was taken away meanwhile
                raise Forbidden(name)
        except RealtimeError as error:
            self.log.warning("message subscribe %r refused: %s", name[:200], error)
            self._drop(name)
            return self.session.refuse(error, name)
        except Exception as error:
            self.log.failure("subscribe", error)
            self._drop(name)
            sorry = messages.Error(code=Code.INTERNAL, message=SORRY, topic=name)
            self.session.post(sorry)
            return sorry
        finally:
            self._asked.discard(name)
        self.session.subscribe(topic, position, message.format)
        self.log.info("message subscribe %r from %s", name, message.position)
        return None

    async def _find(self, message: Subscribe) -> tuple[Position | None, Topic]:
        """Return the topic that a client asks for, and the position from which it can resume, None if it cannot.

        Raises: RealtimeError, and what reading rights and rows raises.
        """
        hub = self._service.hub
        position = None if message.position is None else Position.parse(message.position)
        if not self.session.has_room_for(message.topic):
            raise TooMuch(get_conf().max_subscriptions, "topics of one connection")
        user = await self._service.rights.check(self.visitor, message.topic)
        if self._place is not None:
            self._place.count_for("user", user)
        if position is not None and not await hub.has_reached(position.offset):
            position = None
        return position, await hub.subscribe(message.topic, self)

    def _drop(self, topic: str) -> None:
        """End a subscription: a refused subscribe leaves none behind."""
        self._service.hub.unsubscribe(topic, self)
        self.session.unsubscribe(topic)

    # ------------------------------------------------------------ as the hub's subscriber

    @property
    def topics(self) -> list[str]:
        """The topics that are followed or being read: a right that is taken away ends both."""
        return [*self.session.topics, *(self._asked - set(self.session.topics))]

    def notify(self, topic: str) -> None:
        self.session.notify(topic)
        self._push()

    def post(self, message: ServerMessage) -> None:
        self.session.post(message)
        self._push()

    def pulse(self) -> None:
        self.session.pulse()
        self._push()

    def revoke(self, topic: str) -> None:
        """End a subscription whose right was taken away."""
        self.log.info("revoked %r", topic)
        self._drop(topic)
        if topic in self._asked:  # the subscribe under way sends the error
            self._asked.discard(topic)
            return
        self.session.refuse(Forbidden(topic), topic)
        self._push()

    def end(self, ending: Ending) -> None:
        """Send why the connection ends, then close it."""
        self.session.end(ending)
        self._push()

    # ------------------------------------------------------------ out

    def _push(self) -> None:
        """Send what waits: ready frames at once, as long as the socket accepts them; a task sends the rest."""
        if self._is_writing or self._is_over:
            return
        session, write = self.session, self._write
        message = session.next()
        while message is not None and write is not None and write(message):
            message = session.next() if session.is_waiting else None
        if message is None and session.ending is None:
            return
        self._is_writing = True  # already now: the task may begin later
        writer = _start(self._flush(message), f"realtime-writer-{self.name}")
        if not writer.done():
            self.writer = writer

    async def _flush(self, message: Encoded | None) -> None:
        """Send a message and whatever the session has to say after it; close when that was the last of it."""
        self._is_writing = True
        try:
            while message is not None:
                await self._send(self._frame(self.session, message))
                message = self.session.next()
            if self.session.ending is not None:
                self._is_over = True
                await self._close(self.session.ending)
        except Exception as error:  # each server has its own word for "the client has gone"
            self._is_over = True
            self.log.debug("not sent: %s: %s", type(error).__name__, error)
        finally:
            self._is_writing = False
            self.writer = None


def _start(coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """Return a task that runs the coroutine: at once up to its first wait, where Python can (3.12)."""
    loop = asyncio.get_running_loop()
    if sys.version_info >= (3, 12):
        return asyncio.Task(coroutine, loop=loop, name=name, eager_start=True)
    return loop.create_task(coroutine, name=name)


@lru_cache(maxsize=2)  # one for all connections
def _limits(conf: Conf, server_waits: bool) -> Limits:
    return Limits(
        heartbeat_seconds=conf.heartbeat_seconds,
        max_message_bytes=conf.max_message_bytes,
        max_bad_messages=conf.max_bad_messages,
        max_subscriptions=conf.max_subscriptions,
        max_unacknowledged_bytes=conf.max_unacknowledged_bytes,
        max_silent_bytes=None if server_waits else conf.max_silent_bytes,
        max_messages_per_second=conf.max_messages_per_second,
        max_bytes_per_second=conf.max_bytes_per_second,
    )
