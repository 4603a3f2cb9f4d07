"""Guards for uvicorn: bounds in time, bytes and frames for what a client sends, as ``daphne.py`` has for daphne.

``uvicorn.py`` probes uvicorn's classes before it imports this module.
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
    """uvicorn's own HTTP protocol (by h11 or httptools), with deadlines for requests that are incomplete."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._is_idle = False  # between two requests
        self._known: Any = None  # the latest request whose headers are complete
        self._start_deadline(get_conf().handshake_seconds)

    def data_received(self, data: bytes) -> None:
        if self._is_idle:
            self._is_idle = False
            self._start_deadline(get_conf().handshake_seconds)
        super().data_received(data)
        if self.transport.get_protocol() is not self:  # a WebSocket's
            deadlines.cancel(self)
        elif self.cycle is not self._known:
            self._known = self.cycle
            self._start_deadline(get_conf().request_seconds)
        if self._known is not None and not self._known.more_body and not self._known.response_complete:
            deadlines.cancel(self)

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are not HTTP; while a request is being served, abort: it must not have two answers."""
        if self.cycle is None or self.cycle.response_complete:
            super().send_400_response(msg)
        else:
            self.transport.abort()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.timeout_keep_alive_task is not None:
            self._is_idle = True
            self._start_deadline(math.inf)  # ended by uvicorn's own time-out, or to make room

    def connection_lost(self, exc: Exception | None) -> None:
        deadlines.cancel(self)
        super().connection_lost(exc)

    def _start_deadline(self, seconds: float) -> None:
        deadlines.start(self, seconds, self.transport.abort)


class GuardedWebSocket(WebSocketsSansIOProtocol):
    """uvicorn's own WebSocket protocol, which reads no faster than its application and its client do."""

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
            self._inbound.receive(data)
            return
        super().data_received(data)  # the complete headers, as the HTTP protocol has parsed them
        if not self.handshake_initiated:  # this parser is stricter, and sends no answer
            self.transport.write(
                b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            )
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._inbound.close()
        super().connection_lost(exc)

    def send_receive_event_to_app(self) -> None:
        """Queue a message; unlike uvicorn's own method, hold reading, and log no traceback for invalid UTF-8."""
        data, self.frames = b"".join(self.frames), []
        if self.close_sent:
            self._count_late()
            return
        if self.curr_msg_data_type == "text":
            try:
                self.queue.put_nowait({"type": "websocket.receive", "text": data.decode()})
            except UnicodeDecodeError as error:
                self._fail(1007, f"invalid UTF-8: {error.reason}")
        else:
            self.queue.put_nowait({"type": "websocket.receive", "bytes": data})
        self._inbound.hold("application")

    async def receive(self) -> Any:
        message = await super().receive()
        if self.queue.empty():
            self._inbound.release("application")
        return message

    def pause_writing(self) -> None:
        super().pause_writing()
        self._inbound.hold("reader")

    def resume_writing(self) -> None:
        super().resume_writing()
        self._inbound.release("reader")

    def handle_cont(self, event: Any) -> None:
        if self.close_sent:
            self._count_late()
        elif len(self.frames) < MAX_FRAGMENTS:
            super().handle_cont(event)
        else:
            self._fail(Code.BAD_MESSAGE, f"a message in more than {MAX_FRAGMENTS} frames")

    def handle_ping(self) -> None:
        if self._counts_control():
            super().handle_ping()

    def handle_pong(self, event: Any) -> None:
        if self._counts_control():
            super().handle_pong(event)

    def _count_late(self) -> None:
        self._late += 1
        if self._late > MAX_LATE:
            self.transport.abort()

    def _counts_control(self) -> bool:
        if self._controls.count():
            return True
        if not self.transport.is_closing():
            self._log_refusal("too many pings")
            self.transport.abort()
        return False

    def _fail(self, code: int, reason: str) -> None:
        self._log_refusal(reason)
        self.conn.fail(int(code), reason)
        self.handle_parser_exception()

    def _log_refusal(self, fault: str) -> None:
        logger.warning("refused %s: %s", ":".join(map(str, self.client or ["?"])), fault)
