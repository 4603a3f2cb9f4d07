"""A closed connection leaves no objects in memory for the garbage collector, which stops the loop."""

import asyncio
import contextlib
import json
import urllib.request
from collections.abc import Iterator

import pytest

from tests.processes.sockets import PATIENCE_SECONDS, opened, receive
from tests.support.servers import Project, Server

CONNECTIONS = 6
SUBSCRIBE = json.dumps({"type": "subscribe", "topic": "entries.1"})


class CountingServer(Server):
    """A server of the project's application that counts objects."""

    def _command(self) -> list[str]:
        return [
            "tests.processes.counted:application" if part == "config.asgi:application" else part
            for part in super()._command()
        ]

    def objects(self) -> dict[str, int]:
        with urllib.request.urlopen(f"{self.url}/left/", timeout=PATIENCE_SECONDS) as answer:
            found: dict[str, int] = json.load(answer)
            return found


@pytest.fixture(params=["daphne", "guarded"])
def counting(request: pytest.FixtureRequest, project: Project) -> Iterator[CountingServer]:
    server = CountingServer(project, request.param)
    server.start()
    yield server
    server.stop()


async def _socket(server: Server) -> None:
    """A WebSocket that its client closes."""
    async with opened(server.socket_url) as socket:
        await socket.send(SUBSCRIBE)
        await receive(socket, "snapshot")


async def _lost_socket(server: Server) -> None:
    """A WebSocket whose client is gone."""
    async with opened(server.socket_url) as socket:
        await socket.send(SUBSCRIBE)
        await receive(socket, "snapshot")
        socket.transport.abort()


async def _ended_socket(server: Server) -> None:
    """A WebSocket that the server closes."""
    async with opened(server.socket_url) as socket:
        for _ in range(100):
            await socket.send("no message")
        with contextlib.suppress(Exception):
            await receive(socket, "bye")
            await socket.wait_closed()


async def _stream(server: Server) -> None:
    await _request(server, "/realtime/sse/?topic=entries.1", b"snapshot")


async def _refused_stream(server: Server) -> None:
    await _request(server, "/realtime/sse/?topic=entries.3", b"4403")


async def _poll(server: Server) -> None:
    await _request(server, "/realtime/topics/entries.1/", b"messages")


async def _waiting_poll(server: Server) -> None:
    """A poll whose client leaves before there is anything new."""
    head = await _request(server, "/realtime/topics/entries.1/", b"messages")
    since = head.partition(b'etag: "')[2].partition(b'"')[0].decode()
    assert since
    await _request(server, f"/realtime/topics/entries.1/?since={since}&wait=60", b"")


async def _request(server: Server, path: str, until: bytes) -> bytes:
    """Send a request, return its answer up to some bytes, in small letters, and leave."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {server.host}:{server.port}\r\n\r\n".encode())
    answer = b""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while until not in answer:
            received = await reader.read(65536)
            assert received, answer
            answer += received.lower()
    writer.close()
    return answer


WAYS = [_socket, _lost_socket, _ended_socket, _stream, _refused_stream, _poll, _waiting_poll]


async def test_a_closed_connection_leaves_nothing_for_the_garbage_collector(counting: CountingServer) -> None:
    """Its objects refer to each other in no circle when it is over, so that they are gone at once.

    A collection of a process with thousands of connections stops the event loop for as long as all that is sent to
    them takes. ``asyncio``'s own transport is such a circle of seven objects, and not counted.
    """
    await asyncio.gather(*(way(counting) for way in WAYS))
    before = await asyncio.to_thread(counting.objects)

    await asyncio.gather(*(way(counting) for way in WAYS for _ in range(CONNECTIONS)))

    more: dict[str, int] = {}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while more := _more(before, await asyncio.to_thread(counting.objects)):
                await asyncio.sleep(0.1)
    assert not more


def _more(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """Return of which classes there are more by as many as there were connections."""
    growth = {name: count - before.get(name, 0) for name, count in after.items()}
    return {name: count for name, count in growth.items() if count >= CONNECTIONS}
