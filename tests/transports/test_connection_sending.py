"""A connection's sending: in order, each in a task of its own right, whatever the server's ``send`` does."""

import asyncio
import json

import pytest

from realtime.access.handshake import Handshake
from realtime.access.visitors import NOBODY
from realtime.engine.codes import Code
from realtime.engine.messages import Notice
from realtime.engine.session import Ending
from realtime.transports.connection import Connection
from tests.conftest import until


class Socket:
    """Sends as a server's protocol may: with a time-out, and with a wait if it is not free."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.closed: list[int] = []
        self.is_free = asyncio.Event()
        self.is_free.set()

    async def send(self, event: dict[str, str]) -> None:
        async with asyncio.timeout(10):
            await self.is_free.wait()
        message = json.loads(event["text"])
        self.sent.append(message.get("text", message["type"]))

    async def close(self, ending: Ending) -> None:
        self.closed.append(int(ending.code))


@pytest.fixture
def socket() -> Socket:
    return Socket()


@pytest.fixture
async def connection(service, socket) -> Connection:
    handshake = Handshake.from_scope({"type": "websocket", "headers": []})
    return Connection(
        service,
        handshake,
        NOBODY,
        None,
        send=socket.send,
        frame=lambda session, message: {"text": message},
        close=socket.close,
    )


async def test_a_send_may_use_a_timeout(connection, socket):
    """asyncio's time-outs work in tasks alone: outside one the connection would be silently over."""
    connection.open()
    await until(lambda: socket.sent)
    for text in ("one", "two"):
        connection.post(Notice(text))
    await until(lambda: len(socket.sent) == 3)
    await connection.close("left")

    assert socket.sent == ["welcome", "one", "two"]


async def test_messages_keep_their_order_while_a_send_waits(connection, socket):
    """What is posted meanwhile is sent by the same task, and the close is last."""
    socket.is_free.clear()
    connection.open()
    for text in ("one", "two"):
        connection.post(Notice(text))
    connection.end(Ending(Code.DRAINING, "this server stops"))
    await asyncio.sleep(0.01)
    assert socket.sent == []
    assert connection.writer is not None

    socket.is_free.set()
    await until(lambda: socket.closed)

    assert socket.sent == ["welcome", "one", "two", "bye"]
    assert socket.closed == [4512]
    assert connection.writer is None
    await connection.close("left")
