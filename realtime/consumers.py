"""The consumer: moves messages between a WebSocket and its connection.

The connection makes all decisions. Changes do not arrive through Channels' dispatch: the hub notifies the connection,
which sends what its cursors have not seen.
"""

from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer

from .access import origins
from .access.handshake import Handshake
from .access.limits import ending_of
from .access.visitors import ANONYMOUS
from .conf import get_conf
from .engine.codes import Code
from .engine.errors import RealtimeError
from .engine.messages import SUBPROTOCOLS, Encoded, Subscribe
from .engine.session import Ending, Session
from .runtime.asgi_types import Event, Receive, Scope, Send
from .runtime.client_log import SERVER_FAILED, ClientLog
from .servers.frames import WRITER
from .service import get_service
from .transports import parameters
from .transports.connection import Connection

__all__ = ["RealtimeConsumer"]


class RealtimeConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # Channels has no types
    """One WebSocket connection; docs/protocol.md describes its messages."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Dispatch one event after the other.

        A socket has no channel of its own on the layer: the hub has one for the process. With the socket as the only
        source of events, no further task is needed for each connection and message, as Channels needs for several
        sources.
        """
        self.scope, self.base_send = scope, send
        self._connection: Connection | None = None
        self._close_code: int | str = "lost"
        try:
            while True:
                await self.dispatch(await receive())
        except StopConsumer:
            pass
        finally:
            # After every kind of end: a close, an error, a cancelled task.
            if self._connection is not None:
                connection, self._connection = self._connection, None  # it refers to this object
                await connection.close(self._close_code, is_cut_off=self._close_code == "lost")

    async def dispatch(self, message: Event) -> None:
        """Handle events of the socket and no others: no layer message can call a method here.

        Channels' own method runs code in a database thread for each event.
        """
        if message["type"] == "websocket.connect":
            await self.websocket_connect(message)
        elif message["type"] == "websocket.receive":
            await self.websocket_receive(message)
        elif message["type"] == "websocket.disconnect":
            await self.websocket_disconnect(message)

    async def connect(self) -> None:
        handshake = Handshake.from_scope(self.scope)
        log = ClientLog(handshake.client)
        refusal = _refusal(handshake)
        if refusal:
            log.warning("refused: %s", refusal)
            await self.close()
            return
        service = get_service()
        visitor, place, ending = ANONYMOUS, None, None
        subscriptions: list[Subscribe] = []
        try:
            if b"topic=" in handshake.query_string:
                limit = get_conf().max_subscriptions
                subscriptions = parameters.subscriptions(handshake.parameters, limit)
            visitor, place = await service.admit(handshake)
        except RealtimeError as error:
            ending = ending_of(error)
        except Exception as error:
            log.failure("handshake", error)
            ending = Ending(Code.INTERNAL, SERVER_FAILED)
        subprotocol = next(filter(SUBPROTOCOLS.get, handshake.subprotocols), None)
        self._connection = Connection(
            service,
            handshake,
            visitor,
            place,
            send=self.base_send,
            frame=_frame,
            close=self._end,
            encoding=SUBPROTOCOLS.get(subprotocol or "", "json"),
            waits=self.scope.get("realtime.waits", True),
            write=self.scope.get(WRITER),
        )
        # With an ending, accept, then close with a reason: browsers do not report why a handshake was refused.
        await self.accept(subprotocol)
        self._connection.log.info("open from %s", handshake.client)
        self._connection.open(ending)
        if ending is None:
            await self._connection.begin(subscriptions)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self._connection is not None:
            await self._connection.receive(bytes_data or b"" if text_data is None else text_data)

    async def disconnect(self, code: int) -> None:
        self._close_code = code

    async def _end(self, ending: Ending) -> None:
        await self.close(code=int(ending.code), reason=ending.reason)


def _refusal(handshake: Handshake) -> str:
    """Return why a handshake is refused, empty if it is accepted. Costs no database query."""
    offered = handshake.subprotocols
    if offered and not SUBPROTOCOLS.keys() & set(offered):
        return f"subprotocols {list(offered[:5])!r}: supported are {', '.join(SUBPROTOCOLS)}"
    return origins.refusal(handshake)


def _frame(session: Session, message: Encoded) -> Event:
    return {"type": "websocket.send", "text" if isinstance(message, str) else "bytes": message}
