"""Optional: what uvicorn lets in, bounded in time, bytes and frames; what ``daphne.py`` is for daphne.

    uvicorn config.asgi:application --http realtime.servers.uvicorn:GuardedHttp \
      --ws realtime.servers.uvicorn:GuardedWebSocket --ws-max-size 65536
"""

import asyncio
import logging
import math
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from ..conf import get_conf
from ..engine.codes import Code
from .deadlines import deadlines
from .inbound import MAX_FRAGMENTS, MAX_LATE, Controls, Inbound

logger = logging.getLogger("realtime.guards")


class GuardedHttp(AutoHTTPProtocol):  # type: ignore[valid-type, misc]
    """uvicorn's own, whichever it is, with time-outs for requests on their way."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._is_idle = False  # between two requests
        self._known: Any = None  # the request whose head has come
        self._expect(get_conf().handshake_seconds)

    def data_received(self, data: bytes) -> None:
        if self._is_idle:
            self._is_idle = False
            self._expect(get_conf().handshake_seconds)
        super().data_received(data)
        if self.transport.get_protocol() is not self:  # a WebSocket's
            deadlines.done(self)
        elif self.cycle is not self._known:
            self._known = self.cycle
            self._expect(get_conf().request_seconds)
        if self._known is not None and not self._known.more_body and not self._known.response_complete:
            deadlines.done(self)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP; where a request is being served, end it: a second answer would be a fault of ours."""
        if self.cycle is None or self.cycle.response_complete:
            super().send_400_response(msg)
        else:
            self.transport.abort()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.timeout_keep_alive_task is not None:
            self._is_idle = True
            self._expect(math.inf)  # uvicorn's own time-out, or others that want the room

    def connection_lost(self, exc: Exception | None) -> None:
        deadlines.done(self)
        super().connection_lost(exc)

    def _expect(self, seconds: float) -> None:
        deadlines.expect(self, seconds, self.transport.abort)


class GuardedWebSocket(WebSocketsSansIOProtocol):
    """uvicorn's own, that reads no quicker than its application and its client do."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._controls, self._late = Controls(), 0
        self._inbound = Inbound(
            super().data_received,
            self.transport.pause_reading,
            self.transport.resume_reading,
            self.transport.abort,
        )

    def data_received(self, data: bytes) -> None:
        if self.handshake_initiated:
            self._inbound.take(data)
            return
        super().data_received(data)  # the head, in whole, as the HTTP protocol has read it
        if not self.handshake_initiated:  # it is stricter than that, and says nothing
            self.transport.write(
                b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            )
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._inbound.close()
        super().connection_lost(exc)

    def send_receive_event_to_app(self) -> None:
        """Queue a message. uvicorn's own reads on once it is taken, and writes a traceback of what is no UTF-8."""
        data, self.frames = b"".join(self.frames), []
        if self.close_sent:
            self._count_late()
            return
        if self.curr_msg_data_type == "text":
            try:
                self.queue.put_nowait({"type": "websocket.receive", "text": data.decode()})
            except UnicodeDecodeError as error:
                self._fail(1007, f"no UTF-8: {error.reason}")
        else:
            self.queue.put_nowait({"type": "websocket.receive", "bytes": data})
        self._inbound.wait_for("application")

    async def receive(self) -> Any:
        message = await super().receive()
        if self.queue.empty():
            self._inbound.ready("application")
        return message

    def pause_writing(self) -> None:
        super().pause_writing()
        self._inbound.wait_for("reader")

    def resume_writing(self) -> None:
        super().resume_writing()
        self._inbound.ready("reader")

    def handle_cont(self, event) -> None:
        if self.close_sent:
            self._count_late()
        elif len(self.frames) < MAX_FRAGMENTS:
            super().handle_cont(event)
        else:
            self._fail(Code.BAD_MESSAGE, f"a message in more than {MAX_FRAGMENTS} frames")

    def handle_ping(self) -> None:
        if self._has_room_for_control():
            super().handle_ping()

    def handle_pong(self, event) -> None:
        if self._has_room_for_control():
            super().handle_pong(event)

    def _count_late(self) -> None:
        self._late += 1
        if self._late > MAX_LATE:
            self.transport.abort()

    def _has_room_for_control(self) -> bool:
        if self._controls.has_room():
            return True
        if not self.transport.is_closing():
            self._say("too many pings")
            self.transport.abort()
        return False

    def _fail(self, code: int, reason: str) -> None:
        self._say(reason)
        self.conn.fail(int(code), reason)
        self.handle_parser_exception()

    def _say(self, fault: str) -> None:
        logger.warning("refused %s: %s", ":".join(map(str, self.client or ["?"])), fault)
