"""Closing a server's port while its connections go on."""

import asyncio

import pytest
import uvicorn
from twisted.internet.interfaces import IListeningPort
from zope.interface import implementer  # type: ignore[import-untyped]

from realtime.servers import listeners, open_files, private, reactor


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(100):
        writer.write(data)
    writer.close()


class Uvicorn:
    """What our code uses of uvicorn's server."""

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
    """A server that we do not know, one that has not listened yet, and a uvicorn that does not fit."""
    listeners.stop_listening(lambda number, frame: None)
    listeners.stop_listening(object().__str__)

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    monkeypatch.setattr(listeners, "fits", lambda feature: feature is not private.Feature.UVICORN_PORTS)
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


@pytest.mark.parametrize(("files", "backlog"), [(1024, 192), (20_000, 2048)], ids=["few files", "many files"])
def test_uvicorn_accepts_no_more_at_once_than_its_files_allow(monkeypatch, files, backlog):
    """The loop accepts a whole backlog before our guards see the first connection, and the database needs files too."""
    monkeypatch.setattr(open_files, "limits", lambda: (files, files))
    server = uvicorn.Server(uvicorn.Config("config.asgi:application", backlog=2048))

    listeners.accept_few(server.handle_exit)
    listeners.accept_few(None)

    assert server.config.backlog == backlog
