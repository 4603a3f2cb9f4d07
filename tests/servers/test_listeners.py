"""Closing a server's port while its connections go on."""

import asyncio
import socket
from itertools import pairwise

import pytest
import uvicorn
from twisted.internet.interfaces import IListeningPort
from zope.interface import implementer  # type: ignore[import-untyped]

from realtime.servers import listeners, private_objects, reactor
from realtime.servers.shares import MAX_ACCEPTS


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(100):
        writer.write(data)
    writer.close()


class Uvicorn:
    """The part of uvicorn's server that our code uses."""

    def __init__(self, *servers: asyncio.Server) -> None:
        self.servers = list(servers)

    def handle_exit(self, number: int, frame: object) -> None:
        raise AssertionError("not here")


async def connects(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def test_uvicorn_accepts_no_further_connection_and_keeps_those_that_are_open():
    """Its handler of SIGTERM is a method of the server."""
    assert uvicorn.Server.handle_exit
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    listeners.stop_listening(Uvicorn(server).handle_exit)

    assert not await connects(port)
    writer.write(b"still here")
    assert await asyncio.wait_for(reader.readexactly(10), 30) == b"still here"
    writer.close()


async def test_another_server_or_handler_is_left_alone(monkeypatch):
    """An unknown server, one that has not listened yet, and a uvicorn that does not fit."""
    listeners.stop_listening(lambda number, frame: None)
    listeners.stop_listening(object().__str__)

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    monkeypatch.setattr(
        listeners, "fits", lambda feature: feature is not private_objects.Feature.UVICORN_PORTS
    )
    listeners.stop_listening(Uvicorn(server).handle_exit)

    assert await connects(server.sockets[0].getsockname()[1])
    server.close()


def test_daphnes_ports_are_closed_and_nothing_else_of_the_reactor(monkeypatch):
    """Its readers are its connections, too."""
    closed = []

    @implementer(IListeningPort)
    class Port:
        def stopListening(self) -> None:
            closed.append(self)

    class Twisted:
        readers = [Port(), object(), Port()]

        def getReaders(self) -> list:
            return self.readers

    monkeypatch.setattr(reactor, "is_running", lambda: True)
    monkeypatch.setattr(reactor, "loaded_reactor", Twisted)

    listeners.stop_listening(None)

    assert closed == [Twisted.readers[0], Twisted.readers[2]]


async def opened(server: uvicorn.Server) -> None:
    """Open the server's port as ``uvicorn.Server.serve`` does."""
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup()


class Accepted(asyncio.Protocol):
    """A connection; ``all`` are those of the test."""

    all: list["Accepted"] = []

    def __init__(self, config: object, *args: object, **named: object) -> None:
        self.all.append(self)


async def test_uvicorn_accepts_a_few_connections_in_each_turn_of_the_loop(monkeypatch):
    """The loop would accept as many as the backlog, and whatever they ask for is then done before anything else.

    Meanwhile the others wait in the kernel, for which the backlog is as long as uvicorn was started for.
    """
    monkeypatch.setattr(Accepted, "all", [])
    monkeypatch.setattr(listeners, "OPEN_CHECK_SECONDS", 0)
    config = uvicorn.Config("config.asgi:application", port=0, backlog=400, http=Accepted, lifespan="off")
    server = uvicorn.Server(config)
    listeners.accept_few(server.handle_exit)
    await opened(server)
    for _ in range(3):  # so that the next look at whether it is open is over
        await asyncio.sleep(0)
    port = server.servers[0].sockets[0].getsockname()[1]

    clients = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(300)]
    accepted = [0]
    async with asyncio.timeout(30):
        while accepted[-1] < len(clients):
            await asyncio.sleep(0)
            accepted.append(len(Accepted.all))

    assert max(after - before for before, after in pairwise(accepted)) <= MAX_ACCEPTS
    for client in clients:
        client.close()
    server.servers[0].close()


@pytest.mark.parametrize(
    "server", [None, uvicorn.Server(uvicorn.Config("a:b", backlog=5))], ids=["none", "few"]
)
async def test_a_server_that_accepts_fewer_is_left_alone(server):
    """So is an unknown one."""
    listeners.accept_few(server and server.handle_exit)

    assert server is None or server.config.backlog == 5
