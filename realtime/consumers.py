"""The consumer: moves messages between a WebSocket and its connection.

It decides nothing itself. Changes do not reach it through Channels' dispatch: the hub tells the connection
what is new, which sends what its cursors have not seen.
"""

import logging
from typing import Any

from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer

from .access import origins as auth
from .access.limits import address_of, turned_away
from .access.visitors import NOBODY
from .engine.codes import Code
from .engine.errors import RealtimeError
from .engine.messages import SUBPROTOCOLS, Encoded
from .engine.session import Ending, Session
from .runtime.client_log import SORRY, client_of, log_failure, one_line
from .servers.frames import WRITER
from .service import get_service
from .transports.connection import Connection

logger = logging.getLogger("realtime.connection")


class RealtimeConsumer(AsyncWebsocketConsumer):
    """One WebSocket connection; see docs/protocol.md for what travels on it."""

    async def __call__(self, scope, receive, send) -> None:
        """Hand on one event after the other.

        No layer channel per socket: the hub has one for the whole process. So there is one source of events, which
        needs no task of its own for each connection, and for each message, as Channels has for several.
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
            # However it ended: a close, an error, a cancelled task.
            if self._connection is not None:
                await self._connection.close(self._close_code, is_cut_off=self._close_code == "lost")

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

    async def connect(self) -> None:
        client = client_of(self.scope)
        refusal = self._refusal()
        if refusal:
            logger.warning("refused %s: %s", client, refusal)
            await self.close()
            return
        service = get_service()
        visitor, place, ending = NOBODY, None, None
        try:
            visitor, place = await service.admit(self.scope)
        except RealtimeError as error:
            ending = turned_away(error)
        except Exception as error:
            log_failure(_log, f"handshake of {client}", error)
            ending = Ending(Code.INTERNAL, SORRY)
        subprotocol = next(filter(SUBPROTOCOLS.get, self.scope["subprotocols"]), None)
        self._connection = Connection(
            service,
            visitor,
            address_of(self.scope),
            place,
            send=self.base_send,
            frame=_frame,
            close=self._end,
            encoding=SUBPROTOCOLS.get(subprotocol or "", "json"),
            waits=self.scope.get("realtime.waits", True),
            write=self.scope.get(WRITER),
        )
        # Who is turned away is let in for a word: of a refused handshake a browser learns nothing.
        await self.accept(subprotocol)
        self._connection.log(logging.INFO, "open from %s", client)
        self._connection.open(ending)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self._connection is not None:
            await self._connection.receive(bytes_data or b"" if text_data is None else text_data)

    async def disconnect(self, code: int) -> None:
        self._close_code = code

    async def _end(self, ending: Ending) -> None:
        await self.close(code=int(ending.code), reason=ending.reason)

    def _refusal(self) -> str:
        """Return why a handshake is refused, empty when it is not. Costs no database query."""
        offered = self.scope["subprotocols"]
        if offered and not SUBPROTOCOLS.keys() & set(offered):
            return f"subprotocols {offered[:5]!r}: we speak {', '.join(SUBPROTOCOLS)}"
        return auth.refusal(self.scope)


def _frame(session: Session, message: Encoded) -> dict[str, Any]:
    return {"type": "websocket.send", "text" if isinstance(message, str) else "bytes": message}


def _log(level: int, words: str, *values: object) -> None:
    logger.log(level, words, *map(one_line, values))
