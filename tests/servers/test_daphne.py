"""The guards of daphne's connections, on Twisted's own transport for tests; tests/processes attacks real ones."""

import asyncio
import logging
import socket
from types import SimpleNamespace
from typing import Any

import pytest
from daphne.http_protocol import HTTPFactory
from daphne.ws_protocol import WebSocketProtocol
from twisted.internet.protocol import Factory
from twisted.internet.tcp import Port
from twisted.internet.testing import StringTransport
from twisted.protocols.policies import WrappingFactory
from twisted.web.http_headers import Headers

from realtime.servers import daphne as guards
from realtime.servers.daphne import Guard, GuardedWebSocket, Guards
from realtime.servers.deadlines import deadlines
from realtime.servers.request_bodies import RequestBodies
from realtime.servers.shares import MAX_ACCEPTS
from tests.conftest import until

REQUEST = b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Daphne:
    """daphne's server, as far as its requests use it; ``asked`` are the paths that the application was called with."""

    http_timeout = proxy_forwarded_address_header = None
    root_path, server_name, request_buffer_size = "", "daphne", 8192

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.requests: list = []
        self.ws_factory = SimpleNamespace(protocol=WebSocketProtocol)

    def protocol_connected(self, protocol) -> None:
        self.requests.append(protocol)

    def protocol_disconnected(self, protocol) -> None:
        """Not needed here."""

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
    guard = Guards(factory, RequestBodies, Port(0, factory)).buildProtocol(None)
    guard.makeConnection(StringTransport())
    yield guard
    deadlines.cancel(guard)


async def test_requests_wait_while_one_is_served(guard, daphne):
    """Twisted would keep them in a list that it counts again with each packet."""
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


async def test_nothing_is_done_for_a_client_that_has_left(daphne):
    """It has sent its request and closed the connection at once, as fast as it can open others."""
    client, connection = socket.socketpair()
    transport: Any = StringTransport()
    transport.getHandle = lambda: connection
    factory = HTTPFactory(daphne)
    guards._guard_requests(factory)
    guard = Guards(factory, RequestBodies, Port(0, factory)).buildProtocol(None)
    guard.makeConnection(transport)
    client.close()

    guard.dataReceived(REQUEST % 0)

    assert (daphne.asked, transport.disconnected) == ([], True)
    deadlines.cancel(guard)
    connection.close()


async def test_nothing_is_read_from_a_client_that_does_not_read(guard, daphne):
    """The transport reports a full buffer, which is passed on to the wrapped protocol's producer."""
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


def port_of(factory: Any) -> Port:
    return Port(0, factory)


def install(*ports: Port) -> None:
    guards.install(SimpleNamespace(getReaders=lambda: [*ports, object()]), RequestBodies)


def test_every_port_of_daphnes_is_guarded(daphne):
    """Under TLS too, which wraps its factory; other ports are left alone, and a second call changes nothing."""
    factory, foreign = HTTPFactory(daphne), Factory()
    ports = [port_of(factory), port_of(WrappingFactory(factory)), port_of(foreign)]

    for _ in range(2):
        install(*ports)

    assert [isinstance(port.factory, Guards) for port in ports] == [True, True, False]
    guarding: Any = ports[0].factory
    assert guarding.wrappedFactory is factory
    assert isinstance(guarding.buildProtocol(None), Guard)
    assert daphne.ws_factory.protocol is GuardedWebSocket


async def test_a_long_body_is_refused_and_discarded(guard, daphne, settings, lines):
    """Without waiting for the rest of it."""
    settings.REALTIME = {"MAX_REQUEST_BYTES": 1000}

    guard.dataReceived(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1001\r\n\r\n" + b"x" * 500)

    assert guard.transport.value().startswith(b"HTTP/1.1 413 a request may be 1000 bytes long\r\n")
    assert daphne.asked == []
    assert lines(logging.WARNING) == ["192.168.1.1:54321 request refused: a request may be 1000 bytes long"]


def test_few_connections_are_accepted_at_once(daphne):
    """They are open files before any of them can be dropped; Twisted accepts more at a time, the more there are."""
    port = Port(0, HTTPFactory(daphne))
    guards = Guards(port.factory, RequestBodies, port)
    port.numberAccepts = 500

    guards.buildProtocol(None)

    assert port.numberAccepts == MAX_ACCEPTS


@pytest.mark.parametrize(("proxies", "client"), [(0, "192.168.1.1"), (1, "198.51.100.7")])
async def test_a_request_is_paid_by_its_client(guard, settings, proxies, client):
    """Not the proxy's, with which all others would pay for one that floods."""
    settings.REALTIME = {**settings.REALTIME, "PROXIES": proxies}
    request = SimpleNamespace(requestHeaders=Headers({b"x-forwarded-for": [b"203.0.113.1, 198.51.100.7"]}))

    assert guard.client_of(request) == client
