"""The guards of daphne's connections, on a transport of Twisted's own for tests; real ones are in tests/server."""

import asyncio
import logging
import sys
from types import SimpleNamespace

import pytest
from daphne.http_protocol import HTTPFactory
from daphne.ws_protocol import WebSocketProtocol
from twisted.internet.protocol import Factory
from twisted.internet.tcp import Port
from twisted.internet.testing import StringTransport
from twisted.protocols.policies import WrappingFactory

from realtime.asgi import RealtimeApplication
from realtime.servers import daphne as guards
from realtime.servers.daphne import Guard, GuardedWebSocket, Guards
from realtime.servers.deadlines import deadlines
from tests.conftest import until

REQUEST = b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Daphne:
    """daphne's server, as far as its requests know it: ``asked`` are the paths that the application was asked for."""

    http_timeout = proxy_forwarded_address_header = None
    root_path, server_name, request_buffer_size = "", "daphne", 8192

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.requests: list = []
        self.ws_factory = SimpleNamespace(protocol=WebSocketProtocol)

    def protocol_connected(self, protocol) -> None:
        self.requests.append(protocol)

    def protocol_disconnected(self, protocol) -> None:
        """Not asked for here."""

    def create_application(self, protocol, scope) -> asyncio.Queue:
        self.asked.append(scope["path"])
        return asyncio.Queue()

    def log_action(self, *action: object) -> None:
        """No access log."""

    def answer(self) -> None:
        """Answer the request that is being served."""
        request = self.requests[len(self.asked) - 1]
        request.handle_reply({"type": "http.response.start", "status": 200})
        request.handle_reply({"type": "http.response.body", "body": b"answer"})


@pytest.fixture
def daphne() -> Daphne:
    return Daphne()


@pytest.fixture
async def guard(daphne):
    """A guarded connection to daphne."""
    factory = HTTPFactory(daphne)
    guards._guard_requests(factory)
    guard = Guards(factory).buildProtocol(None)
    guard.makeConnection(StringTransport())
    yield guard
    deadlines.done(guard)


async def test_what_is_said_while_a_request_is_served_waits(guard, daphne):
    """Twisted would keep it in a list that it counts again with each packet."""
    for number in range(3):
        guard.dataReceived(REQUEST % number)
    await asyncio.sleep(0.01)
    assert daphne.asked == ["/0"]
    assert guard.transport.producerState == "paused"

    for number in range(3):
        await until(lambda number=number: len(daphne.asked) == number + 1)
        daphne.answer()

    assert daphne.asked == ["/0", "/1", "/2"]
    assert guard.transport.value().count(b"answer") == 3
    assert guard.transport.producerState == "producing"


async def test_nothing_is_read_of_who_does_not_read(guard, daphne):
    """Full is the transport's word; it is handed on to who writes."""
    told = []
    writer = SimpleNamespace(
        pauseProducing=lambda: told.append("full"), resumeProducing=lambda: told.append("free")
    )
    guard.unregisterProducer()
    guard.registerProducer(writer, True)

    guard.transport.producer.pauseProducing()
    guard.dataReceived(REQUEST % 0)
    await asyncio.sleep(0.01)
    assert (daphne.asked, told) == ([], ["full"])

    guard.transport.producer.resumeProducing()
    await until(lambda: daphne.asked)
    assert told == ["full", "free"]


def port_of(factory: Factory) -> Port:
    return Port(0, factory)


def install(*ports: Port) -> None:
    guards._install(SimpleNamespace(getReaders=lambda: [*ports, object()]))


def test_every_port_of_daphnes_is_guarded(daphne):
    """Behind TLS too, which wraps its factory; another's ports are left alone."""
    factory, foreign = HTTPFactory(daphne), Factory()
    ports = [port_of(factory), port_of(WrappingFactory(factory)), port_of(foreign)]

    install(*ports)

    assert [isinstance(port.factory, Guards) for port in ports] == [True, True, False]
    assert isinstance(ports[0].factory.buildProtocol(None), Guard)
    assert daphne.ws_factory.protocol is GuardedWebSocket


def test_another_daphne_works_without_its_guards_and_says_so(daphne, lines):
    """One line, at the start."""
    del daphne.ws_factory
    port = port_of(HTTPFactory(daphne))

    install(port)

    assert isinstance(port.factory, HTTPFactory)
    (line,) = lines(logging.WARNING)
    assert line.startswith("daphne is not guarded against hostile clients")


def test_a_daphne_without_the_parts_is_no_reason_not_to_start(monkeypatch, lines):
    """The same line."""
    monkeypatch.setitem(sys.modules, "realtime.servers.daphne", None)

    RealtimeApplication(None)

    (line,) = lines(logging.WARNING)
    assert line.startswith("daphne is not guarded against hostile clients")
