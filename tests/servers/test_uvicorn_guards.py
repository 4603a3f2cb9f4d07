"""The guards of uvicorn's connections, on a scripted transport; tests/processes attacks real ones."""

import asyncio
import importlib
import logging
import socket
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from realtime.servers.deadlines import deadlines
from realtime.servers.inbound import MAX_CONTROLS
from realtime.servers.shares import Shares
from realtime.servers.uvicorn import GuardedWebSocket
from realtime.servers.uvicorn_guards import MAX_HEAD_BYTES, guarded
from tests.conftest import until

HEAD = (
    b"GET /realtime/ws/ HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
MASK = b"\0\0\0\0"  # leaves the payload as it is


class Transport(asyncio.Transport):
    """Keeps what is written, and whether it is read from."""

    def __init__(self, client: socket.socket | None = None, peer: tuple[str, int] | None = None) -> None:
        super().__init__(extra={"socket": client, "peername": peer})
        self.written, self.is_read, self.is_aborted = b"", True, False
        self.protocol: Any = None

    def write(self, data) -> None:
        self.written += data

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True

    def is_closing(self) -> bool:
        return self.is_aborted

    def abort(self) -> None:
        self.is_aborted = True

    close = abort

    def set_protocol(self, protocol) -> None:
        self.protocol = protocol

    def get_protocol(self):
        return self.protocol


class Application:
    """Accepts sockets and receives a message when it is told to; answers a request when it is told to."""

    def __init__(self) -> None:
        self.received: list = []
        self.may_receive = asyncio.Semaphore(0)
        self.asked: list = []
        self.may_answer = asyncio.Semaphore(0)

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "http":
            self.asked.append(scope)
            await self.may_answer.acquire()
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]})
            await send({"type": "http.response.body", "body": b"answer"})
            return
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            await self.may_receive.acquire()
            self.received.append(await receive())


@pytest.fixture
async def application() -> Application:
    return Application()


@pytest.fixture
async def state():
    """The server's; its tasks end with the test."""
    state = ServerState()
    yield state
    for task in state.tasks:
        task.cancel()
    await asyncio.gather(*state.tasks, return_exceptions=True)


@pytest.fixture(params=[H11Protocol, HttpToolsProtocol], ids=["h11", "httptools"])
def opened(request, application, state):
    """Open HTTP connections on transports."""
    http = guarded(request.param)
    config = uvicorn.Config(
        application, http=http, ws=GuardedWebSocket, log_config=None, ws_per_message_deflate=False
    )
    config.load()
    protocols = []

    def open(transport: Transport) -> Transport:
        protocols.append(http(config, state, {}))
        transport.set_protocol(protocols[-1])
        protocols[-1].connection_made(transport)
        return transport

    yield open
    for protocol in protocols:
        deadlines.cancel(protocol)


@pytest.fixture
async def connection(opened):
    """An open HTTP connection: ``data_received`` of its transport's protocol is what a client sends."""
    return opened(Transport())


@pytest.mark.parametrize("parts", [1, 2, len(HEAD)])
async def test_nothing_is_done_for_a_client_that_has_left(opened, application, parts):
    """It has sent its request and closed the connection at once, as fast as it can open others."""
    client, own = socket.socketpair()
    with own:
        connection = opened(Transport(own))
        request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
        size = -(-len(request) // parts)
        *first, last = [request[start : start + size] for start in range(0, len(request), size)]
        for part in first:
            connection.protocol.data_received(part)
        client.close()

        connection.protocol.data_received(last)
        await asyncio.sleep(0)

        assert connection.is_aborted
        assert application.asked == []


async def test_a_message_of_a_client_that_has_left_is_still_received(opened, application):
    """A socket that is closed right after a call has made that call."""
    client, own = socket.socketpair()
    with own:
        connection = await upgraded(opened(Transport(own)))
        client.close()

        connection.protocol.data_received(text(b"{}"))
        application.may_receive.release()

        await until(lambda: application.received)
        assert application.received[0]["text"] == "{}"


@pytest.mark.parametrize(("proxies", "payer"), [(0, "192.0.2.1"), (1, "198.51.100.7")])
async def test_parsing_of_a_socket_is_paid_by_its_client(opened, settings, monkeypatch, proxies, payer):
    """Not by the proxy, with which all others would pay for one that floods."""
    settings.REALTIME = {**settings.REALTIME, "PROXIES": proxies}
    module = importlib.import_module("realtime.servers.uvicorn_guards")
    monkeypatch.setattr(module, "shares", Shares())
    forwarded = b"\r\nX-Forwarded-For: 203.0.113.1, 198.51.100.7\r\nUpgrade:"
    connection = await upgraded(
        opened(Transport(peer=("192.0.2.1", 1234))), HEAD.replace(b"\r\nUpgrade:", forwarded)
    )

    connection.protocol.data_received(text(b"{}"))

    assert list(module.shares._parsing._buckets) == [payer]


async def upgraded(connection: Transport, head: bytes = HEAD) -> Transport:
    connection.protocol.data_received(head)
    await until(lambda: b"101 Switching Protocols" in connection.written)
    assert isinstance(connection.protocol, GuardedWebSocket)
    return connection


def text(payload: bytes, opcode: int = 0x81) -> bytes:
    return bytes((opcode, 0x80 | len(payload))) + MASK + payload


async def test_messages_wait_while_the_application_is_busy(connection, application):
    """Nothing more is read from their client meanwhile; in the end all have been received, in order."""
    socket = await upgraded(connection)

    socket.protocol.data_received(text(b"1"))
    socket.protocol.data_received(text(b"2") + text(b"3"))
    await asyncio.sleep(0)
    assert not socket.is_read

    for _ in range(3):
        application.may_receive.release()
    await until(lambda: len(application.received) == 3)
    assert [event["text"] for event in application.received] == ["1", "2", "3"]
    assert socket.is_read


async def test_messages_wait_while_the_client_does_not_read(connection, application):
    """The transport reports a full buffer, and an empty one."""
    socket = await upgraded(connection)
    application.may_receive.release()

    socket.protocol.pause_writing()
    socket.protocol.data_received(text(b"1"))
    await asyncio.sleep(0)
    assert application.received == []

    socket.protocol.resume_writing()
    await until(lambda: application.received)


@pytest.mark.parametrize(
    "data, code, words",
    [
        (text(b"\xff"), 1007, "invalid UTF-8: invalid start byte"),
        (text(b"x", 0x01) + 64 * text(b"x", 0x00), 4400, "a message in more than 64 frames"),
    ],
    ids=["invalid UTF-8", "too many frames"],
)
async def test_a_bad_message_closes_its_socket_in_one_line(connection, lines, data, code, words):
    """With a code, and without a traceback."""
    socket = await upgraded(connection)

    socket.protocol.data_received(data)
    await until(lambda: code.to_bytes(2) in socket.written)

    assert [line.partition(": ")[2] for line in lines(logging.WARNING)] == [words]


async def test_too_many_pings_end_the_connection(connection, lines):
    """The application does not see them, so it cannot limit them."""
    socket = await upgraded(connection)

    for _ in range(MAX_CONTROLS + 1):
        socket.protocol.data_received(text(b"", 0x89))
    await until(lambda: socket.is_aborted)

    (line,) = lines(logging.WARNING)
    assert line.endswith("too many pings")


async def test_an_unfinished_request_is_aborted_at_its_deadline(connection, monkeypatch, settings):
    """Whatever its client sends meanwhile; a complete one has no deadline."""
    started = {}
    monkeypatch.setattr(
        deadlines,
        "start",
        lambda protocol, seconds, drop, address: started.update({protocol: (seconds, drop)}),
    )
    monkeypatch.setattr(deadlines, "cancel", lambda protocol: started.pop(protocol, None))
    settings.REALTIME = {"REQUEST_SECONDS": 7}

    connection.protocol.data_received(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nx")
    ((seconds, drop),) = started.values()
    assert seconds == 7
    connection.protocol.data_received(b"x")
    assert started == {}

    drop()
    assert connection.is_aborted


# ---------------------------------------------------------------- requests without end

START = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
BEFORE_THE_BODY = {
    "a line": (b"GET /", b"a"),
    "a header": (START + b"X: ", b"a"),
    "a name": (START + b"X", b"a"),
    "headers": (START, b"X: a\r\n"),
}
WITHIN_THE_BODY = {
    "a chunk's extension": (CHUNKED + b"1;", b"a"),
    "chunks with extensions": (CHUNKED, b"1;%s\r\nx\r\n" % (b"a" * 5000)),
    "a trailer": (CHUNKED + b"0\r\nX: ", b"a"),
    "trailers": (CHUNKED + b"0\r\n", b"X: a\r\n"),
}


async def send_without_end(connection: Transport, start: bytes, more: bytes) -> int:
    """Send until the connection ends; return how much was sent."""
    data, sent = start + more * (30_000 // len(more)), 0
    while not connection.is_aborted:
        assert sent < 3 * MAX_HEAD_BYTES, "the request goes on without end"
        connection.protocol.data_received(data)
        sent += len(data)
        data = more * (30_000 // len(more))
        for _ in range(50):  # pieces are parsed in turns of the loop
            await asyncio.sleep(0)
    return sent


@pytest.mark.parametrize("start, more", BEFORE_THE_BODY.values(), ids=BEFORE_THE_BODY)
@pytest.mark.parametrize("is_first", [True, False], ids=["first", "later"])
async def test_a_head_without_end_is_refused(connection, application, lines, start, more, is_first):
    """Whatever is endless in it, in the first request of a connection or a later one: 64 KiB, then 431."""
    if not is_first:
        application.may_answer.release()
        connection.protocol.data_received(START + b"\r\n")
        await until(lambda: b"answer" in connection.written)
    answered = len(connection.written)

    sent = await send_without_end(connection, start, more)

    assert sent > MAX_HEAD_BYTES - 30_000
    assert connection.written[answered:].startswith(b"HTTP/1.1 431 ")
    assert connection.written[answered:].count(b"HTTP/1.1 ") == 1
    assert len(lines(logging.WARNING)) == 1


@pytest.mark.parametrize("start, more", WITHIN_THE_BODY.values(), ids=WITHIN_THE_BODY)
async def test_a_body_with_more_around_it_than_in_it_ends_its_connection(connection, start, more):
    """The application may have begun to answer, so the connection has no other answer."""
    await send_without_end(connection, start, more)

    assert connection.written == b""


async def test_trailers_do_not_become_headers(connection, application):
    """The application trusts that headers do not change after it has read them."""
    connection.protocol.data_received(CHUNKED + b"1\r\nx\r\n0\r\nOrigin: http://evil.example\r\n\r\n")
    await until(lambda: application.asked)

    assert [name for name, _ in application.asked[0]["headers"]] == [b"host", b"transfer-encoding"]


async def test_a_body_as_long_as_is_allowed_is_not_counted_as_a_head(connection, application):
    """Neither are the heads of all requests of one connection together."""
    body = b"x" * (2 * MAX_HEAD_BYTES)
    application.may_answer.release()
    connection.protocol.data_received(
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    await until(lambda: connection.written.count(b"answer") == 1)
    for number in range(100):
        application.may_answer.release()
        connection.protocol.data_received(START + b"X: %s\r\n\r\n" % (b"a" * 1000))
        await until(lambda number=number: connection.written.count(b"answer") == number + 2)

    assert not connection.is_aborted


async def test_requests_wait_while_one_is_served(connection, application):
    """However many arrive in one packet, few are parsed, and nothing more is read; in the end each has its answer."""
    connection.protocol.data_received((START + b"\r\n") * 1000)
    await until(lambda: application.asked)
    for _ in range(50):
        await asyncio.sleep(0)
    assert not connection.is_read
    assert len(getattr(connection.protocol, "pipeline", ())) < 50

    for _ in range(1000):
        application.may_answer.release()
    await until(lambda: connection.written.count(b"answer") == 1000)

    assert len(application.asked) == 1000
    assert connection.is_read
