"""Guards for uvicorn: bounds in time, bytes and frames for a client's input, as ``daphne.py`` has for daphne.

``uvicorn.py`` probes uvicorn's classes before it imports this module.
"""

import asyncio
import contextlib
import math
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from ..conf import get_conf
from ..engine.codes import Code
from ..runtime.addresses import client_address, connecting_address
from ..runtime.client_log import ClientLog, client_name
from .deadlines import BodyDeadline, deadlines
from .inbound import MAX_FRAGMENTS, MAX_LATE, Controls, Inbound
from .open_files import open_connections
from .shares import shares
from .transport import bound_buffers, has_left

MAX_HEAD_BYTES = 64 * 1024
"""Limit of the bytes of a request besides its body: head, chunk extensions, trailers."""


def guarded(protocol: Any) -> Any:
    """Return a guarded subclass of one of uvicorn's HTTP protocols."""

    class GuardedHttp(protocol):  # type: ignore[misc]
        """uvicorn's own HTTP protocol, by h11 or httptools, which parses one request after the other in small pieces.

        By default h11 bounds everything but the body, and httptools bounds nothing.
        """

        def __init__(self, config: Any, *args: Any, **named: Any) -> None:
            # Above our own limit, whose answer states the reason.
            config.h11_max_incomplete_event_size = MAX_HEAD_BYTES + Inbound.PIECE_BYTES
            super().__init__(config, *args, **named)

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            self._inbound = Inbound(
                self._parse, transport.pause_reading, transport.resume_reading, transport.abort
            )
            self.flow = _Flow(transport, self._inbound)
            bound_buffers(transport.get_extra_info("socket"))
            self._is_idle = False  # between two requests
            self._known: Any = None  # the latest request whose headers are complete
            self._head_bytes = 0  # since the previous request was complete, without those of the body
            self._body_deadline: BodyDeadline | None = None
            self._address = connecting_address(self.client[0] if self.client else "")
            if open_connections.add(transport):
                shares.admit(self._address, self._inbound)
                self._start_deadline(get_conf().handshake_seconds)
            else:
                transport.abort()

        def data_received(self, data: bytes) -> None:
            if self._is_idle:
                self._is_idle = False
                self._start_deadline(get_conf().handshake_seconds)
            self._inbound.receive(data)

        def _parse(self, data: bytes) -> None:
            if self.transport.is_closing():
                return
            if has_left(self.transport.get_extra_info("socket")):
                self.transport.abort()  # before any work is done for it
                return
            body_bytes = self._unread_body_bytes()
            super().data_received(data)
            if self.transport.get_protocol() is not self:
                self._leave_to(self.transport.get_protocol())
            elif not self._note_request():
                self._count(len(data), self._unread_body_bytes() - body_bytes)

        def _leave_to(self, socket: Any) -> None:
            """Pass the unparsed bytes to the protocol of a WebSocket, and drop all references to the connection."""
            deadlines.cancel(self)
            self.parser = (
                None  # as uvicorn does when a connection is lost: httptools' parser refers to this object
            )
            left = self._inbound.hand_over()
            if left:
                socket.data_received(left)

        def _note_request(self) -> bool:
            """Return whether the head of a further request is complete; stop parsing while a request is answered."""
            is_new = self.cycle is not self._known
            if is_new:
                self._known = self.cycle
                self._head_bytes = 0
                self._body_deadline = BodyDeadline(self._start_deadline) if self.cycle.more_body else None
            if self._is_answering():
                deadlines.cancel(self)
                self._inbound.hold("answer")
            return is_new

        def _is_answering(self) -> bool:
            """Return whether a request is complete, but its answer is not."""
            return self._known is not None and not self._known.more_body and not self._known.response_complete

        def _unread_body_bytes(self) -> int:
            return 0 if self._known is None else len(self._known.body)

        def _count(self, size: int, body_bytes: int) -> None:
            """Count the bytes of a body for its deadline, and those of head, chunk extensions and trailers."""
            request = self._known
            if (
                request is not None
                and request.more_body
                and request.response_complete
                and request.scope is self.scope
            ):
                return  # the rest of a request that was refused: it is discarded, within the time for a head
            if self._body_deadline is not None and body_bytes:
                self._body_deadline.count(body_bytes)
            self._head_bytes += size - body_bytes
            if self._is_answering():
                self._head_bytes, self._body_deadline = 0, None
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self._refuse_head()

        def _refuse_head(self) -> None:
            log = ClientLog(client_name(self.client))
            log.warning("request refused: more than %d bytes beside a request's body", MAX_HEAD_BYTES)
            self._inbound.close()
            if self.cycle is None or self.cycle.response_complete:
                self.transport.write(
                    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
                    b"connection: close\r\ncontent-length: 0\r\n\r\n"
                )
                self.transport.close()
            else:
                self.transport.abort()

        def on_header(self, name: bytes, value: bytes) -> None:
            """Add a header of the request that is being parsed; drop trailers, which httptools reports here too."""
            if self.cycle is None or self.cycle.scope is not self.scope:
                super().on_header(name, value)

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
            self._note_request()  # h11 parses the next one here
            if not self._is_answering():
                self._inbound.release("answer")

        def connection_lost(self, exc: Exception | None) -> None:
            deadlines.cancel(self)
            open_connections.discard(self.transport)
            self._inbound.close()
            super().connection_lost(exc)
            if self.timeout_keep_alive_task is not None:  # uvicorn leaves it for a connection that was reset
                self.timeout_keep_alive_task.cancel()
                self.timeout_keep_alive_task: asyncio.TimerHandle | None = None

        def _start_deadline(self, seconds: float) -> None:
            deadlines.start(self, seconds, self.transport.abort, self._address)

    return GuardedHttp


GuardedHttp = guarded(AutoHTTPProtocol)


class _Flow(FlowControl):
    """uvicorn's flow control: to pause reading is to parse nothing more, which pauses the transport."""

    def __init__(self, transport: asyncio.Transport, inbound: Inbound) -> None:
        super().__init__(transport)
        self._inbound = inbound

    def pause_reading(self) -> None:
        self._inbound.hold("application")

    def resume_reading(self) -> None:
        self._inbound.release("application")


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
        if self.handshake_initiated:
            forwarded = [
                value.decode("latin-1") for name, value in self.scope["headers"] if name == b"x-forwarded-for"
            ]
            shares.charge(client_address(forwarded, self.client[0] if self.client else ""), self._inbound)
        else:  # this parser is stricter, and sends no answer
            self.transport.write(
                b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            )
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        open_connections.discard(self.transport)
        self._inbound.close()
        super().connection_lost(exc)
        # Other versions of websockets leave this to the garbage collector.
        with contextlib.suppress(AttributeError):
            self.conn.parser.close()  # a generator, whose frame is part of a reference cycle

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
        ClientLog(client_name(self.client)).warning("socket refused: %s", fault)
