"""Guards for daphne: bounds in time, bytes and frames for a client's input, before it reaches our application.

Each connection is wrapped in the way that TLS wraps one (Twisted's ``ProtocolWrapper``); its requests and its WebSocket
are subclasses of daphne's own. ``reactor.py`` probes those classes before it imports this module, and calls
``install``.
"""

import math
from collections.abc import Callable
from typing import Any, Self
from urllib.parse import unquote_to_bytes

from daphne.http_protocol import HTTPFactory, WebRequest
from daphne.ws_protocol import WebSocketProtocol
from twisted.internet.tcp import Port
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory

from ..conf import get_conf
from ..engine.codes import Code
from ..runtime.addresses import client_address, connecting_address
from ..runtime.client_log import ClientLog, client_name
from ..runtime.refusals import Refused
from .deadlines import BodyDeadline, deadlines
from .inbound import MAX_FRAGMENTS, MAX_LATE, MAX_QUEUED, Controls, Inbound, max_frame_bytes
from .open_files import open_connections
from .request_bodies import Body, RequestBodies
from .shares import MAX_ACCEPTS, shares
from .transport import bound_buffers, has_left


def install(reactor: Any, request_bodies: Callable[[], RequestBodies]) -> None:
    """Guard all connections to the ports on which daphne listens. Safe to call twice."""
    for port in reactor.getReaders():
        factory = _daphnes_factory(port)
        if factory is None or isinstance(port.factory, Guards):
            continue
        factory.server.ws_factory.protocol = GuardedWebSocket
        _guard_requests(factory)
        port.factory = Guards(port.factory, request_bodies, port)


def _daphnes_factory(port: Any) -> Any:
    """Return daphne's factory behind a port, under that of TLS if there is one; None if the port is not daphne's."""
    factory: Any = port.factory if isinstance(port, Port) else None
    while factory is not None and not isinstance(factory, HTTPFactory):
        factory = getattr(factory, "wrappedFactory", None)
    return factory


def _guard_requests(factory: HTTPFactory) -> None:
    build = factory.buildProtocol

    def build_guarded(address: Any) -> Any:
        channel = build(address)
        channel.requestFactory = GuardedRequest
        return channel

    factory.buildProtocol = build_guarded


class Guard(ProtocolWrapper):
    """One connection: bytes from the client pass its ``inbound``, and wait while the client does not read."""

    factory: "Guards"
    transport: Any

    def makeConnection(self, transport: Any) -> None:
        self.is_idle = False  # between two requests
        self.inbound = Inbound(
            self._parse, transport.pauseProducing, transport.resumeProducing, transport.abortConnection
        )
        self._outlet = _Outlet(self.inbound)
        transport.registerProducer(self._outlet, True)
        self.is_socket = False  # its handshake is complete
        self._handle = getattr(transport, "getHandle", lambda: None)()
        bound_buffers(self._handle)
        super().makeConnection(transport)  # type: ignore[no-untyped-call]
        peer_address = getattr(transport.getPeer(), "host", "")
        self.address = connecting_address(peer_address)
        if not open_connections.add(self):
            transport.abortConnection()
            return
        shares.admit(self.address, self.inbound)
        self.start_deadline(get_conf().handshake_seconds)

    @property
    def guard(self) -> Self:
        """The guard. Like ``inbound`` it is found as an attribute of the transport, even with TLS in between."""
        return self

    def client_of(self, request: Any) -> str | None:
        """Return the address of the client that has sent a request on this connection."""
        forwarded = request.requestHeaders.getRawHeaders(b"x-forwarded-for", [])
        peer_address = getattr(self.transport.getPeer(), "host", "")
        return client_address([value.decode("latin-1") for value in forwarded], peer_address)

    def start_deadline(self, seconds: float) -> None:
        """Abort the connection unless its request is complete after some seconds."""
        deadlines.start(self, seconds, self.transport.abortConnection, self.address)

    def dataReceived(self, data: bytes) -> None:
        if self.is_idle:
            self.is_idle = False
            self.start_deadline(get_conf().handshake_seconds)
        if getattr(self.wrappedProtocol, "negotiatedProtocol", None) == b"h2":
            deadlines.cancel(self)  # HTTP/2: requests are frames, and Twisted's own limits hold
        self.inbound.receive(data)

    def _parse(self, data: bytes) -> None:
        protocol: Any = self.wrappedProtocol
        if not self.is_socket and has_left(self._handle):
            self.transport.abortConnection()  # before any work is done for it
        else:
            protocol.dataReceived(data)

    def connectionLost(self, reason: Any = None) -> None:
        deadlines.cancel(self)
        open_connections.discard(self)
        self.inbound.close()
        self._outlet.stopProducing()  # the transport does not, once ``loseConnection`` was called
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    # ------------------------------------------------------------ as the transport of the wrapped protocol

    @property
    def unguarded(self) -> Any:
        """The transport itself, for ``frames.py``, which writes past all wrappers."""
        return self.transport

    def pauseProducing(self) -> None:
        self.inbound.hold("parser")

    def resumeProducing(self) -> None:
        self.inbound.release("parser")

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self._outlet.writer = producer

    def unregisterProducer(self) -> None:
        self._outlet.writer = None

    def loseConnection(self) -> None:
        # A transport with a producer does not close when its buffer is empty: it waits for more.
        self.transport.unregisterProducer()
        super().loseConnection()  # type: ignore[no-untyped-call]


class Guards(WrappingFactory):
    """Wraps the connections that a port's factory builds; ``request_bodies`` returns the counter of their bodies."""

    protocol = Guard

    def __init__(self, wrapped: Any, request_bodies: Callable[[], RequestBodies], port: Port) -> None:
        super().__init__(wrapped)  # type: ignore[no-untyped-call]
        self.request_bodies, self._port = request_bodies, port

    def buildProtocol(self, addr: Any) -> Any:
        # Twisted increases the number by 20 whenever that many connect at once; all are open files before one is
        # dropped.
        self._port.numberAccepts = MAX_ACCEPTS
        return super().buildProtocol(addr)


class _Outlet:
    """Notified that the transport's buffer is full, and that it is empty again (Twisted's ``IPushProducer``)."""

    def __init__(self, inbound: Inbound) -> None:
        self.writer: Any = None  # the producer that the wrapped protocol has registered
        self._inbound = inbound

    def pauseProducing(self) -> None:
        self._inbound.hold("reader")
        if self.writer is not None:
            self.writer.pauseProducing()

    def resumeProducing(self) -> None:
        self._inbound.release("reader")
        if self.writer is not None:
            self.writer.resumeProducing()

    def stopProducing(self) -> None:
        writer, self.writer = self.writer, None  # it may refer to the guard, which refers to this object
        if writer is not None:
            writer.stopProducing()


class GuardedRequest(WebRequest):  # type: ignore[misc]
    """daphne's request; daphne keeps its body until it is complete."""

    channel: Any

    def __init__(self, *args: Any) -> None:
        # The form that Twisted would parse is not used; parsing eight megabytes took 2.7 seconds.
        super().__init__(*args, parsePOSTFormSubmission=False)
        self._guard: Guard | None = getattr(self.transport, "guard", None)
        self._body: Body | None = None
        self._deadline: BodyDeadline | None = None
        self._is_refused = False

    def gotLength(self, length: int | None) -> None:
        """Called when the headers are complete; None as length: the body is sent in chunks."""
        super().gotLength(length)
        if self._guard is None or length == 0:
            return
        self._body = Body(self._guard.factory.request_bodies(), self._guard.client_of(self))
        self._deadline = BodyDeadline(self._guard.start_deadline)
        if length is not None and length > get_conf().max_request_bytes:
            self._count(length)

    def handleContentChunk(self, data: bytes) -> None:
        if self._count(len(data)):
            if self._deadline is not None:
                self._deadline.count(len(data))
            super().handleContentChunk(data)

    def process(self) -> Any:
        """Serve the request, which is complete."""
        if self._guard is not None:
            deadlines.cancel(self._guard)
            self._guard.inbound.hold("answer")
        if self._is_refused:
            self.channel.loseConnection()
            return None
        self.requestHeaders.removeHeader(b"daphne-root-path")  # any client could set our script prefix by it
        if self.requestHeaders.hasHeader(b"upgrade") and (fault := self._fault_of_upgrade()):
            self.basic_error(400, b"Bad Request", fault)
            return None
        served = super().process()
        if self._guard is not None and self.transport is None:  # the WebSocket's from now on
            self._guard.is_socket = True
            self.channel = None  # as after a lost connection, of which neither of the two is notified here
            shares.charge(self._guard.client_of(self), self._guard.inbound)
            self._guard.inbound.release("answer")
        return served

    def finish(self) -> None:
        super().finish()
        self._release_body()
        if self._guard is not None:
            self._guard.inbound.release("answer")
            self._guard.is_idle = True
            self._guard.start_deadline(math.inf)  # ended by Twisted's own time-out, or to make room

    def connectionLost(self, reason: Any) -> None:
        super().connectionLost(reason)
        self._release_body()

    def _release_body(self) -> None:
        if self._body is not None:
            self._body.release()

    def _count(self, size: int) -> bool:
        """Count a part of the body and return whether to keep it; over a limit, answer at once."""
        if self._guard is None or self._body is None:
            return True
        try:
            if not self._is_refused:
                self._body.count(size)
        except Refused as refused:
            self._is_refused = True
            peer = self.getClientAddress()  # without a port on a Unix socket
            log = ClientLog(client_name([peer.host, peer.port] if hasattr(peer, "port") else None))
            log.warning("request refused: %s", refused)
            self.transport.write(
                f"HTTP/1.1 {refused.status} {refused}\r\nConnection: close\r\n"
                "Content-Length: 0\r\n\r\n".encode()
            )
            # The connection stays open for now: closing it while the client is still sending would lose the answer.
            self._guard.start_deadline(get_conf().handshake_seconds)
        return not self._is_refused

    def _fault_of_upgrade(self) -> str:
        """Return a fault of a handshake on which daphne or autobahn would fail; empty if there is none."""
        if self._body is not None and not self._body.is_empty:
            return "A handshake has no body"
        for value in self.requestHeaders.getRawHeaders(b"sec-websocket-protocol", []):
            if not value.isascii() or unquote_to_bytes(value) != value:
                return "Invalid subprotocol"
        return ""


class GuardedWebSocket(WebSocketProtocol):  # type: ignore[misc]
    """daphne's WebSocket, with limits for its input; autobahn's own limits hold for both directions."""

    failedByMe: bool
    _fragments = _bytes = _late = 0

    def onConnect(self, request: Any) -> Any:
        self._controls = Controls()
        # Its result is this object itself: a cycle that would last until the garbage collector runs.
        self.is_closed.addCallback(lambda _: None)
        # Before the handshake is complete autobahn would keep these bytes, and parse them as another handshake.
        self.transport.inbound.hold("acceptance")
        return super().onConnect(request)

    def onOpen(self) -> None:
        super().onOpen()
        self.transport.inbound.release("acceptance")

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        super().onMessage(payload, isBinary)
        if self.application_queue.qsize() >= MAX_QUEUED:
            self.transport.inbound.hold("application")

    def application_received(self) -> None:
        """Called when the application has received a message."""
        if self.application_queue.qsize() < MAX_QUEUED:
            self.transport.inbound.release("application")

    def onMessageBegin(self, isBinary: bool) -> None:
        self._fragments = self._bytes = 0
        super().onMessageBegin(isBinary)

    def onMessageFrameBegin(self, length: int) -> None:
        self._fragments += 1
        self._bytes += length
        if self.failedByMe:
            self._late += 1
            if self._late > MAX_LATE:
                self.transport.abortConnection()
        elif self._bytes > max_frame_bytes() or self._fragments > MAX_FRAGMENTS:
            self._log_refusal(f"message of {self._bytes} bytes in {self._fragments} frames")
            self.failedByMe = True  # autobahn's own mark: it discards further bytes
            self.sendClose(
                int(Code.BAD_MESSAGE), f"a message may be {get_conf().max_message_bytes} bytes long"
            )
        super().onMessageFrameBegin(length)

    def onPing(self, payload: bytes) -> None:
        if self._counts_control():
            super().onPing(payload)

    def onPong(self, payload: bytes) -> None:
        if self._counts_control():
            super().onPong(payload)

    def _counts_control(self) -> bool:
        if self._controls.count():
            return True
        if not self.failedByMe:
            self._log_refusal("too many pings")
            self.failedByMe = True
            self.transport.abortConnection()
        return False

    def _log_refusal(self, fault: str) -> None:
        ClientLog(client_name(self.client_addr)).warning("socket refused: %s", fault)
