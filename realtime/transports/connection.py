"""A connection of any transport: carries out its client's messages, and is the hub's subscriber.

A transport (``consumers.py``, ``sse.py``) passes in the client's messages, and functions that send to the client
(``outbound.py``). The session decides which messages are sent (``engine/session.py``).
"""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache
from typing import Literal

from msgspec import UnsetType

from ..access.handshake import Handshake
from ..access.limits import Place, TooMuch
from ..access.visitors import Visitor
from ..conf import Conf, get_conf
from ..delivery.subscriber import ConnectionState
from ..engine import messages
from ..engine.codes import Code
from ..engine.errors import BadMessage, Forbidden, RealtimeError, Unreadable
from ..engine.messages import (
    Ack,
    Broadcast,
    Call,
    Encoded,
    Encoding,
    Ephemeral,
    Ping,
    ServerMessage,
    Subscribe,
)
from ..engine.position import Position
from ..engine.session import Ending, Limits, Session
from ..engine.topic import Topic
from ..feeds import registry
from ..runtime import metrics
from ..runtime.asgi_types import Event, Send
from ..runtime.client_log import SERVER_FAILED, ClientLog
from ..runtime.cpu_time import measured
from ..runtime.refusals import Refused, status_during
from ..servers.frames import Writer
from ..service import Service, draining, refused
from .broadcasts import NotSent, Sender
from .calls import answer
from .outbound import Outbound

SUBSCRIBES_AT_ONCE = 8
"""How many subscribes of one connection are carried out at once: one check of rights and one note answer them together,
and the topics of other connections need not wait for all of them."""

_numbers = itertools.count(1)


class Connection:
    """One client's connection."""

    __slots__ = (
        "_asked", "_opened_at", "_outbound", "_place", "_requested", "_sender", "_service", "_subscribing",
        "_transport", "address", "log", "session", "visitor",
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

        ``place`` is given back at the end; None for a connection that was refused. ``send``, ``frame``, ``close``
        and ``write`` are those of ``Outbound``; ``waits`` is true if ``send`` waits while the client does not read.
        """
        self.log = ClientLog(handshake.client, f"c{next(_numbers)}")
        self.visitor, self.address = visitor, handshake.address
        self._transport: Literal["websocket", "stream"] = (
            "websocket" if handshake.kind == "websocket" else "stream"
        )
        self.session = Session(_limits(get_conf(), waits), encoding)
        self._outbound = Outbound(self.session, self.log, send, frame, close, write, self)
        self._service, self._place = service, place
        self._asked: set[str] = set()  # topics that are being read for a subscribe
        self._requested: dict[str, Subscribe] = {}  # subscribes that wait for their turn, by topic
        self._subscribing: tuple[asyncio.Task[None], ...] = ()  # the tasks that carry them out
        self._opened_at = time.monotonic()
        self._sender: Sender | None = None  # from its first broadcast on

    def open(self, ending: Ending | None = None) -> None:
        """Send the welcome, and the messages of the session from now on; with an ending, send only that and close."""
        if self._service.is_closing:
            ending = refused()
        if ending is not None:
            self.log.warning("refused: %s", ending.reason)
            self.session.end(ending)
        self._service.hub.connect(self)
        self._outbound.open()

    async def begin(self, subscriptions: Iterable[Subscribe]) -> None:
        """Follow the topics that the client has named in its address, as if it had sent these messages."""
        for message in subscriptions:
            await self._request(message)

    async def close(self, code: int | str, *, is_cut_off: bool = False) -> None:
        """Leave the hub, give back the place, and stop sending; if ``is_cut_off`` by us, send a bye where possible."""
        for task in self._subscribing:
            task.cancel()
        self._service.hub.disconnect(self, self.topics)
        if self._place is not None:
            self._place.leave()
        ending = self.session.ending
        metrics.closes.labels("client" if ending is None else int(ending.code)).inc()
        try:
            await self._outbound.finish(draining() if is_cut_off else None)
        finally:
            for topic in self.session.topics:
                self.session.unsubscribe(topic)
        self.log.info("close %s after %.1f s", code, time.monotonic() - self._opened_at)

    # ------------------------------------------------------------ messages of the client

    async def receive(self, encoded: Encoded) -> None:
        """Carry out one message of the client, at the expense of its address's share of processing time."""
        await measured(self._receive(encoded), self._spend)

    def _spend(self, seconds: float) -> None:
        self._service.processing.spend(self.address, seconds)

    async def _receive(self, encoded: Encoded) -> None:
        if self.session.ending is not None:
            return
        try:
            message = self.session.receive(encoded, time.monotonic())
            if not isinstance(message, Ack):  # without its acknowledgements nothing more would be sent to it
                await self._until_affordable()
            await self._carry_out(message)
        except BadMessage as error:
            self.log.warning("message refused: %s", error)
            metrics.refusals.labels(int(error.code)).inc()
            self.session.refuse(error)
        self._outbound.push()

    async def _until_affordable(self) -> None:
        """Wait while the client's address is over its share; nothing more is read from the client meanwhile."""
        while (seconds := self._service.processing.seconds_until(self.address, 0)) > 0:  # noqa: ASYNC110
            await asyncio.sleep(seconds)

    async def _carry_out(self, message: messages.ClientMessage) -> None:
        if not isinstance(message, Subscribe | Ack):
            await self._all_subscribed()
        match message:
            case Subscribe():
                await self._request(message)
            case messages.Unsubscribe(topic=topic):
                self.log.info("message unsubscribe %r", topic[:200])
                self._drop(topic)
            case Call():
                encoding = self.session.encoding
                self.session.post(
                    await answer(self._service, self.visitor, self.address, message, encoding, self.log)
                )
            case Broadcast():
                await self._broadcast(message)
            case Ping():
                self.log.debug("message ping")
                self.session.beat(self._service.hub.behind_seconds)
            case Ack(received=received):
                self.session.acknowledge(received)

    async def _broadcast(self, message: Broadcast) -> None:
        """Send a message to the other subscribers of a topic; post a reply, if the client requests one.

        Otherwise a refusal is an error without a topic: the rows are not refused.
        Raises: BadMessage, unless there is a reply.
        """
        self._sender = self._sender or Sender()
        try:
            if message.topic not in self.session.topics:
                raise NotSent(Code.FORBIDDEN, f"this connection does not follow {message.topic[:100]!r}")
            prepared = await self._sender.prepared(
                self._service, self.visitor, self.address, message, self.session.encoding
            )
            if message.topic in self.session.topics:  # the subscription has not ended meanwhile
                self._service.hub.broadcasts.send(prepared, self)
        except RealtimeError as error:
            if isinstance(error, BadMessage) and isinstance(message.id, UnsetType):
                raise
            self.log.info("message broadcast %r refused: %s", message.topic[:200], error)
            metrics.refusals.labels(int(error.code)).inc()
            self._refuse_broadcast(message, error.code, str(error))
        except Exception as error:
            self.log.failure("broadcast", error)
            self._refuse_broadcast(message, Code.INTERNAL, SERVER_FAILED)
        else:
            if not isinstance(message.id, UnsetType):
                self.session.post(messages.Reply(message.id, ok=None))

    def _refuse_broadcast(self, message: Broadcast, code: Code, reason: str) -> None:
        if isinstance(message.id, UnsetType):
            self.session.post(messages.Error(code, reason))
        else:
            self.session.post(messages.Reply(message.id, error=messages.ReplyError(code, reason)))

    async def _request(self, message: Subscribe) -> None:
        """Have a subscribe carried out beside others.

        Meanwhile the server reads what else the client sends. If it did not, it would not see the answers to its pings,
        and would end the connection of a client whose many topics take long.
        """
        is_full = len(self._requested) >= get_conf().max_subscriptions
        if is_full or message.topic in self._requested or message.topic in self._asked:
            await self._all_subscribed()
        self._requested[message.topic] = message
        if len(self._subscribing) < SUBSCRIBES_AT_ONCE:
            work = self._subscribe_requested()
            self._subscribing += (asyncio.create_task(work, name="realtime-subscribe"),)
            await asyncio.sleep(0)  # it begins before the next message, which may end the session

    async def _subscribe_requested(self) -> None:
        """Carry out the subscribes that wait, one after the other."""
        try:
            while self._requested and self.session.ending is None:
                await measured(self._subscribe_first(), self._spend)
        finally:
            own = asyncio.current_task()
            self._subscribing = tuple(task for task in self._subscribing if task is not own)

    async def _subscribe_first(self) -> None:
        await self._until_affordable()
        if self._requested:
            await self.subscribe(self._requested.pop(next(iter(self._requested))))
            self._outbound.push()

    async def _all_subscribed(self) -> None:
        """Wait until all subscribes have been carried out: messages after them may rely on that."""
        if self._subscribing:
            await asyncio.wait(self._subscribing)

    async def subscribe(self, message: Subscribe) -> Refused | None:
        """Follow a topic; if it is refused, send the client an error, and return the refusal."""
        name = message.topic
        self._asked.add(name)
        try:
            position, topic = await self._find(message)
            if name not in self._asked:  # the right was revoked meanwhile
                raise Forbidden(name)
        except RealtimeError as error:
            self.log.warning("message subscribe %r refused: %s", name[:200], error)
            self._drop(name)
            metrics.refusals.labels(int(error.code)).inc()
            return Refused([self.session.refuse(error, name)], status_during(error))
        except Exception as error:
            self.log.failure("subscribe", error)
            self._drop(name)
            failure = messages.Error(code=Code.INTERNAL, message=SERVER_FAILED, topic=name)
            self.session.post(failure)
            return Refused([failure], status_during(error), is_logged=True)
        finally:
            self._asked.discard(name)
        self.session.subscribe(topic, position, message.format)
        if not topic.is_readable:  # the session answers when it can be read again
            self.session.refuse(Unreadable(name), name)
        self.log.info("message subscribe %r from %s", name, message.position)
        return None

    async def _find(self, message: Subscribe) -> tuple[Position | None, Topic]:
        """Return the topic that a client requests, and the position from which it can resume, None if it cannot.

        Raises: RealtimeError, and what reading rights and rows raises.
        """
        hub = self._service.hub
        position = None if message.position is None else Position.parse(message.position)
        if not self.session.has_room_for(message.topic, self._asked):
            raise TooMuch(get_conf().max_subscriptions, "topics of one connection")
        verdict = await self._service.rights.check(self.visitor, message.topic)
        registry.check_format(message.topic, message.format)
        if self._place is not None:
            self._place.count_for("user", verdict.user)
        if position is not None and not await hub.has_reached(position.offset):
            position = None
        topic = await hub.subscribe(message.topic, self, message.format)
        await hub.confirm(message.topic, self, verdict)
        return position, topic

    def _drop(self, topic: str) -> None:
        """End a subscription after its subscribe was refused."""
        self._service.hub.unsubscribe(topic, self)
        self.session.unsubscribe(topic)

    # ------------------------------------------------------------ as the hub's subscriber

    @property
    def writer(self) -> asyncio.Task[None] | None:
        """The task that sends, while the server keeps it waiting."""
        return self._outbound.writer

    @property
    def topics(self) -> list[str]:
        """The topics that are followed or being read: a revoked right ends both."""
        return [*self.session.topics, *(self._asked - set(self.session.topics))]

    @property
    def state(self) -> ConnectionState:
        open_seconds = time.monotonic() - self._opened_at
        return ConnectionState(
            self.log.connection or "", self._transport, open_seconds, self.session.unread_bytes
        )

    def notify(self, topic: str) -> None:
        self.session.notify(topic)
        self._outbound.push()

    def post(self, message: ServerMessage) -> None:
        self.session.post(message)
        self._outbound.push()

    def offer(self, message: Ephemeral) -> bool:
        is_taken = self.session.offer(message)
        self._outbound.push()
        return is_taken

    def pulse(self) -> None:
        self.session.pulse(self._service.hub.behind_seconds)
        self._outbound.push()

    def revoke(self, topic: str) -> None:
        """End a subscription whose right was revoked."""
        self._drop(topic)
        self.log.info("revoked %r", topic)
        if topic in self._asked:  # the subscribe under way sends the error
            self._asked.discard(topic)
            return
        self.session.refuse(Forbidden(topic), topic)
        self._outbound.push()

    def end(self, ending: Ending) -> None:
        """Send the reason for the end of the connection, then close it."""
        self.session.end(ending)
        self._outbound.push()


@lru_cache(maxsize=2)  # one for all connections
def _limits(conf: Conf, server_waits: bool) -> Limits:
    return Limits(
        heartbeat_seconds=conf.heartbeat_seconds,
        max_message_bytes=conf.max_message_bytes,
        max_broadcast_bytes=conf.max_broadcast_bytes,
        max_bad_messages=conf.max_bad_messages,
        max_subscriptions=conf.max_subscriptions,
        max_unacknowledged_bytes=conf.max_unacknowledged_bytes,
        max_silent_bytes=None if server_waits else conf.max_silent_bytes,
        max_messages_per_second=conf.max_messages_per_second,
        max_bytes_per_second=conf.max_bytes_per_second,
    )
