"""The consumer: moves texts between a socket and its session, and carries out what the session is asked.

It decides nothing itself. Changes do not reach it through Channels' dispatch: the hub marks what is new,
and the writer task sends what this connection's cursors have not seen.
"""

import asyncio
import itertools
import logging
import time
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer
from django.contrib.auth.models import AnonymousUser
from django.db import Error as DatabaseError

from . import auth
from .actions import ActionRefused, perform
from .conf import get_conf
from .engine import messages
from .engine.codes import Code
from .engine.errors import BadMessage, Forbidden, RealtimeError
from .engine.messages import Call, Ping, Reply, ReplyError, ServerMessage, Subscribe, Unsubscribe
from .engine.position import Position
from .engine.session import Ending, Limits, Session
from .feeds import registry
from .service import draining, get_service

logger = logging.getLogger("realtime.connection")

_numbers = itertools.count(1)


class RealtimeConsumer(AsyncWebsocketConsumer):
    """One WebSocket connection; see docs/protocol.md for what travels on it."""

    # No layer channel per socket: the hub has one for the whole process.
    channel_layer_alias = None

    async def __call__(self, scope, receive, send) -> None:
        self._name = f"c{next(_numbers)}"
        self._session: Session | None = None
        self.writer: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self.session_key = auth.session_key(scope)
        self._close_code: int | str = "lost"
        self._opened_at = time.monotonic()
        self._service = get_service()
        self._client = ":".join(map(str, scope.get("client") or ["?"]))
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._clean_up()

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Hand on what the socket says, and nothing else: no layer message can call a method here.

        Without the hop into a database thread that Channels makes for each event.
        """
        if message["type"] == "websocket.connect":
            await self.websocket_connect(message)
        elif message["type"] == "websocket.receive":
            await self.websocket_receive(message)
        elif message["type"] == "websocket.disconnect":
            await self.websocket_disconnect(message)

    # ------------------------------------------------------------ events of the socket

    async def connect(self) -> None:
        refusal = self._refusal()
        if refusal:
            self._log(logging.WARNING, "refused %s: %s", self._client, refusal)
            self._close_code = 403
            await self.close()
            return
        conf = get_conf()
        self._session = Session(
            Limits(
                heartbeat_seconds=conf.heartbeat_seconds,
                max_message_bytes=conf.max_message_bytes,
                max_bad_messages=conf.max_bad_messages,
                max_subscriptions=conf.max_subscriptions,
            )
        )
        await self.accept(messages.JSON_SUBPROTOCOL if self.scope["subprotocols"] else None)
        self._log(logging.INFO, "open from %s", self._client)
        if self._service.is_stopping:
            self._session.end(draining())
        self._service.hub.connect(self)
        self.writer = asyncio.create_task(self._write(), name=f"realtime-writer-{self._name}")
        self._wake.set()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        session = self._session
        if session is None or session.ending is not None:
            return
        try:
            message = session.receive(text_data)
        except BadMessage as error:
            self._log(logging.WARNING, "message refused: %s", error)
            session.refuse(error)
        else:
            await self._carry_out(session, message)
        self._wake.set()

    async def disconnect(self, code: int) -> None:
        self._close_code = code

    # ------------------------------------------------------------ what the client asks for

    async def _carry_out(self, session: Session, message: messages.ClientMessage) -> None:
        match message:
            case Subscribe():
                await self._subscribe(session, message)
            case Unsubscribe(topic=topic):
                self._log(logging.INFO, "message unsubscribe %r", topic[:200])
                self._service.hub.unsubscribe(topic, self)
                session.unsubscribe(topic)
            case Call():
                await self._call(session, message)
            case Ping():
                self._log(logging.DEBUG, "message ping")
                session.beat()

    async def _subscribe(self, session: Session, message: Subscribe) -> None:
        try:
            position = None if message.position is None else Position.parse(message.position)
            if not session.has_room_for(message.topic):
                raise TooManySubscriptions(get_conf().max_subscriptions)
            await self._check_permission(message.topic)
            if position is not None and not await self._service.hub.has_reached(position.offset):
                position = None
            topic = await self._service.hub.subscribe(message.topic, self)
        except RealtimeError as error:
            self._log(logging.WARNING, "message subscribe %r refused: %s", message.topic[:200], error)
            self._drop(session, message.topic)
            session.refuse(error, message.topic)
        except Exception as error:
            self._fail("subscribe", error)
            self._drop(session, message.topic)
            session.post(messages.Error(code=Code.INTERNAL, message=_SORRY, topic=message.topic))
        else:
            session.subscribe(topic, position, message.format)
            self._log(logging.INFO, "message subscribe %r from %s", message.topic, message.position)

    def _drop(self, session: Session, topic: str) -> None:
        """End a subscription: a refused subscribe leaves none behind."""
        self._service.hub.unsubscribe(topic, self)
        session.unsubscribe(topic)

    async def _check_permission(self, topic: str) -> None:
        """Raises: UnknownTopic, Forbidden."""
        feed, key = registry.find(topic)
        user = await self._get_user()
        if not await self._service.readers.run(feed.can_subscribe, user, key):
            raise Forbidden(topic)

    async def _call(self, session: Session, message: Call) -> None:
        try:
            user = await self._get_user()
            answer = await self._service.action_threads.run(perform, user, message.action, message.args)
            session.post(Reply(id=message.id, ok=answer))
        except ActionRefused as error:
            self._log(logging.WARNING, "message call %r refused: %s", message.action[:100], error)
            fields = messages.UNSET if error.fields is None else error.fields
            session.post(Reply(id=message.id, error=ReplyError(error.code, str(error), fields)))
        except Exception as error:
            self._fail(f"call {message.action[:100]!r}", error)
            session.post(Reply(id=message.id, error=ReplyError(Code.INTERNAL, _SORRY)))
        else:
            self._log(logging.INFO, "message call %r", message.action)

    async def _get_user(self) -> Any:
        """Return the user of the socket's session as of now: it may have been signed out since."""
        if self.session_key is None:
            return AnonymousUser()
        return await self._service.readers.run(auth.load_user, self.session_key)

    # ------------------------------------------------------------ as the hub's subscriber

    def notify(self, topic: str) -> None:
        if self._session is not None:
            self._session.notify(topic)
            self._wake.set()

    def post(self, message: ServerMessage) -> None:
        if self._session is not None:
            self._session.post(message)
            self._wake.set()

    def beat(self) -> None:
        if self._session is not None:
            self._session.beat()
            self._wake.set()

    @property
    def topics(self) -> list[str]:
        return [] if self._session is None else self._session.topics

    def revoke(self, topic: str) -> None:
        """End a subscription whose right is gone."""
        if self._session is not None:
            self._log(logging.INFO, "revoked %r", topic)
            self._drop(self._session, topic)
            self._session.refuse(Forbidden(topic), topic)
            self._wake.set()

    def end(self, ending: Ending) -> None:
        """Close the connection after telling why."""
        if self._session is not None:
            self._session.end(ending)
            self._wake.set()

    # ------------------------------------------------------------ out

    async def _write(self) -> None:
        """Send whatever the session has to say, each time something woke us."""
        session = self._session
        assert session is not None
        is_over = False
        while not is_over:
            await self._wake.wait()
            self._wake.clear()
            is_over = await self._flush(session)

    async def _flush(self, session: Session) -> bool:
        """Send what waits; return whether that was all there will ever be."""
        try:
            while texts := session.take():
                for text in texts:
                    await self.base_send({"type": "websocket.send", "text": text})
            if session.ending is not None:
                await self.close(code=int(session.ending.code), reason=session.ending.reason)
        except Exception as error:  # each server has its own word for "the client has gone"
            self._log(logging.DEBUG, "not sent: %s: %s", type(error).__name__, error)
            return True
        return session.ending is not None

    async def _clean_up(self) -> None:
        """Leave nothing behind, however the connection ended: a close, an error, a cancelled task."""
        if self._session is None:
            return
        self._service.hub.disconnect(self, self._session.topics)
        if self.writer is not None and not self.writer.done():
            self.writer.cancel()
            if self._close_code == "lost":
                self._session.end(draining())
                await self._flush(self._session)
        self._log(logging.INFO, "close %s after %.1f s", self._close_code, time.monotonic() - self._opened_at)

    # ------------------------------------------------------------ words

    def _refusal(self) -> str:
        """Return why a handshake is refused, empty when it is not. Costs no database query."""
        offered = self.scope["subprotocols"]
        if not auth.is_host_allowed(self.scope):
            return f"host {auth.header(self.scope, b'host')!r} is not in ALLOWED_HOSTS"
        if not auth.is_origin_allowed(self.scope):
            return f"origin {auth.header(self.scope, b'origin')!r} is not ours; see CSRF_TRUSTED_ORIGINS"
        if offered and messages.JSON_SUBPROTOCOL not in offered:
            return f"subprotocols {offered[:5]!r}: we speak {messages.JSON_SUBPROTOCOL}"
        return ""

    def _log(self, level: int, words: str, *values: object) -> None:
        logger.log(level, f"%s {words}", self._name, *map(_one_line, values))

    def _fail(self, what: str, error: Exception) -> None:
        """Log what we could not do: a line for the database being away, a traceback for a fault of ours."""
        is_outage = isinstance(error, DatabaseError)
        self._log(logging.ERROR, "%s failed: %s: %s", what, type(error).__name__, error)
        if not is_outage:
            logger.error("%s %s", self._name, what, exc_info=error)


def _one_line(value: object) -> object:
    """Return a value for the log; a text that could break or forge its lines is quoted."""
    return value if isinstance(value, int | float) or str(value).isprintable() else ascii(str(value))


_SORRY = "the server could not do this now; try again"


class TooManySubscriptions(RealtimeError):
    """One connection asked for more topics than it may follow."""

    code = Code.TOO_MUCH

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit

    def __str__(self) -> str:
        return f"a connection may follow {self.limit} topics; unsubscribe from one first"
