"""A scripted server for the Python client, and clients of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from msgspec import Raw
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from realtime.client import Follower, Listener, Refused, follow, listen
from realtime.engine import messages
from realtime.engine.messages import Row, Welcome
from tests.conftest import PATIENCE_SECONDS

Script = Callable[[ServerConnection], Awaitable[None]]

JSON = [Subprotocol("realtime.v1.json")]
HELLO = Welcome("realtime.v1", 15.0, 16384, 400, 4096)


def row(key: str, name: str = "") -> Row:
    contents = json.dumps({"name": name}).encode()
    return Row(key, key, Raw(contents), digest=messages.digest(key, key, contents))


class Scripted:
    """A server whose connections follow one script after the other; the last one is repeated."""

    def __init__(self, *scripts: Script, hello: Welcome = HELLO) -> None:
        self.scripts, self.hello = list(scripts), hello
        self.asked: list[dict[str, Any]] = []
        self.requests: list[Any] = []

    async def __call__(self, socket: ServerConnection) -> None:
        self.requests.append(socket.request)
        await send(socket, self.hello)
        self.asked.append(json.loads(await socket.recv()))
        await (self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0])(socket)
        await socket.wait_closed()

    async def ask(self, socket: ServerConnection) -> dict[str, Any]:
        """Return the next message of the client that is no acknowledgement."""
        while (message := json.loads(await socket.recv()))["type"] == "ack":
            pass
        return message


async def send(socket: ServerConnection, *sent: messages.ServerMessage) -> None:
    for message in sent:
        await socket.send(messages.encode(message))


@pytest.fixture
async def serving() -> AsyncIterator[Callable[..., Awaitable[tuple[Scripted, str]]]]:
    """A function that starts a scripted server, and returns it with its address."""
    servers = []

    async def start(*scripts: Script, **options: Any) -> tuple[Scripted, str]:
        scripted = Scripted(*scripts, **options)
        server = await serve(scripted, "127.0.0.1", 0, subprotocols=JSON)
        servers.append(server)
        return scripted, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


@pytest.fixture
async def following(serving) -> AsyncIterator[Callable[..., Awaitable[tuple[Scripted, Follower]]]]:
    """A function that starts a scripted server and returns it with a follower of it, which never waits to reconnect."""
    followers = []

    async def start(*scripts: Script, hello: Welcome = HELLO, **options: Any) -> tuple[Scripted, Follower]:
        scripted, url = await serving(*scripts, hello=hello)
        follower = follow(url, "t", random=lambda: 0.0, **options)
        followers.append(follower)
        return scripted, follower

    yield start
    for follower in followers:
        await follower.aclose()


@pytest.fixture
async def listening(serving) -> AsyncIterator[Callable[..., Awaitable[tuple[Scripted, Listener]]]]:
    """A function that starts a scripted server and returns it with a listener to it, which never waits to reconnect."""
    listeners = []

    async def start(*scripts: Script) -> tuple[Scripted, Listener]:
        scripted, url = await serving(*scripts)
        listener = listen(url, "t", random=lambda: 0.0)
        listeners.append(listener)
        return scripted, listener

    yield start
    for listener in listeners:
        await listener.aclose()


async def take(follower: Follower, number: int = 1) -> list[tuple[str, str]]:
    """Return the next changes, as pairs of op and key."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        return [(change.op, change.key) for change in [await anext(follower) for _ in range(number)]]


async def refusal_of(follower: Follower) -> Refused:
    with pytest.raises(Refused) as refused:
        await take(follower)
    assert follower.is_closed
    assert follower.status == "closed"
    with pytest.raises(StopAsyncIteration):
        await anext(follower)
    return refused.value
