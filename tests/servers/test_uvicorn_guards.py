"""The guards of uvicorn's connections, on a scripted transport; tests/processes attacks real ones."""

import asyncio
import logging
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from realtime.servers.deadlines import deadlines
from realtime.servers.inbound import MAX_CONTROLS
from realtime.servers.uvicorn import GuardedHttp, GuardedWebSocket
from tests.conftest import until

HEAD = (
    b"GET /realtime/ws/ HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
MASK = b"\0\0\0\0"  # leaves the payload as it is


class Transport(asyncio.Transport):
    """Keeps what is written, and whether it is read from."""

    def __init__(self) -> None:
        super().__init__()
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
    """Accepts sockets; receives a message when it is told to."""

    def __init__(self) -> None:
        self.received: list = []
        self.may_receive = asyncio.Semaphore(0)

    async def __call__(self, scope, receive, send) -> None:
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


@pytest.fixture
async def connection(application, state):
    """An open HTTP connection: ``data_received`` of its transport's protocol is what a client sends."""
    config = uvicorn.Config(
        application, http=GuardedHttp, ws=GuardedWebSocket, log_config=None, ws_per_message_deflate=False
    )
    config.load()
    protocol, transport = GuardedHttp(config, state, {}), Transport()
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    yield transport
    deadlines.cancel(protocol)


async def upgraded(connection: Transport) -> Transport:
    connection.protocol.data_received(HEAD)
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
        deadlines, "start", lambda protocol, seconds, drop: started.update({protocol: (seconds, drop)})
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
