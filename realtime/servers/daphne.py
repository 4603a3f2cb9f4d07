"""What daphne lets in, bounded in time, bytes and frames before it reaches our application.

Each connection is wrapped as TLS wraps one (Twisted's ``ProtocolWrapper``); its requests and its WebSocket are of
subclasses of daphne's own. ``install`` puts them in place; under another server nothing of this runs.
"""

import logging
import math
from functools import cache
from typing import Any
from urllib.parse import unquote_to_bytes

from daphne.http_protocol import HTTPFactory, WebRequest
from daphne.ws_protocol import WebSocketProtocol
from twisted.internet.tcp import Port
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory

from ..conf import get_conf
from ..engine.codes import Code
from ..runtime.refusals import Refused
from .deadlines import deadlines
from .inbound import MAX_FRAGMENTS, MAX_LATE, MAX_WAITING, Controls, Inbound, max_frame_bytes
from .request_bodies import Body

logger = logging.getLogger("realtime.guards")


@cache
def install() -> None:
    """Guard every connection of daphne's, from its first one on; to be called before the reactor runs."""
    from twisted.internet import reactor

    reactor.callWhenRunning(_install, reactor)


def _install(reactor) -> None:
    ports = [port for port in reactor.getReaders() if isinstance(port, Port)]
    try:
        for factory in set(map(_daphnes, ports)) - {None}:
            factory.server.ws_factory.protocol = GuardedWebSocket
            _guard_requests(factory)
        for port in filter(_daphnes, ports):
            port.factory = Guards(port.factory)  # type: ignore[assignment]
    except AttributeError as error:
        logger.warning("daphne is not guarded against hostile clients, it has changed: %s", error)


def _daphnes(port: Port) -> Any:
    """Return daphne's factory behind a port, None when it is another's; TLS wraps it."""
    factory: Any = port.factory
    while factory is not None and not isinstance(factory, HTTPFactory):
        factory = getattr(factory, "wrappedFactory", None)
    return factory


def _guard_requests(factory: HTTPFactory) -> None:
    build = factory.buildProtocol

    def build_guarded(address):
        channel = build(address)
        channel.requestFactory = GuardedRequest
        return channel

    factory.buildProtocol = build_guarded


class Guard(ProtocolWrapper):
    """One connection: what comes in passes its intake; what goes out does not wait for a client that only talks."""

    def makeConnection(self, transport) -> None:
        self.guard = self  # asked of a transport, which TLS may have wrapped, as ``intake`` is
        self.is_idle = False  # between two requests
        self.inbound = Inbound(
            self._hand_on, transport.pauseProducing, transport.resumeProducing, transport.abortConnection
        )
        self._outlet = Outlet(self.inbound)
        transport.registerProducer(self._outlet, True)
        super().makeConnection(transport)
        self.expect(get_conf().handshake_seconds)

    def expect(self, seconds: float) -> None:
        """Give the client so long for what it has to say next."""
        deadlines.expect(self, seconds, self.transport.abortConnection)

    def dataReceived(self, data: bytes) -> None:
        if self.is_idle:
            self.is_idle = False
            self.expect(get_conf().handshake_seconds)
        if getattr(self.wrappedProtocol, "negotiatedProtocol", None) == b"h2":
            deadlines.done(self)  # requests are frames there; Twisted's own limits hold
        self.inbound.take(data)

    def _hand_on(self, data: bytes) -> None:
        protocol: Any = self.wrappedProtocol
        protocol.dataReceived(data)

    def connectionLost(self, reason: Any = None) -> None:
        deadlines.done(self)
        self.inbound.close()
        super().connectionLost(reason)

    # ------------------------------------------------------------ as the transport of what is wrapped

    @property
    def guarded(self) -> Any:
        """The transport itself, for who writes past all others (``frames.py``)."""
        return self.transport

    def pauseProducing(self) -> None:
        self.inbound.wait_for("parser")

    def resumeProducing(self) -> None:
        self.inbound.ready("parser")

    def registerProducer(self, producer, streaming: bool) -> None:
        self._outlet.writer = producer

    def unregisterProducer(self) -> None:
        self._outlet.writer = None

    def loseConnection(self) -> None:
        # A transport with a producer does not close when a full buffer has emptied: it expects more.
        self.transport.unregisterProducer()
        super().loseConnection()


class Guards(WrappingFactory):
    """Wraps what a port's factory builds."""

    protocol = Guard


class Outlet:
    """Hears that the transport's buffer is full, and that it is empty again (Twisted's ``IPushProducer``)."""

    def __init__(self, intake: Inbound) -> None:
        self.writer: Any = None  # who else wants to hear of it
        self._inbound = intake

    def pauseProducing(self) -> None:
        self._inbound.wait_for("reader")
        if self.writer is not None:
            self.writer.pauseProducing()

    def resumeProducing(self) -> None:
        self._inbound.ready("reader")
        if self.writer is not None:
            self.writer.resumeProducing()

    def stopProducing(self) -> None:
        if self.writer is not None:
            self.writer.stopProducing()


class GuardedRequest(WebRequest):
    """daphne's request, whose body daphne keeps until it is whole."""

    def __init__(self, *args: Any) -> None:
        # Twisted would parse a form for nobody: eight megabytes of it took 2.7 seconds.
        super().__init__(*args, parsePOSTFormSubmission=False)
        self._guard: Guard | None = getattr(self.transport, "guard", None)
        self._body = Body()
        self._is_refused = False

    def gotLength(self, length: int | None) -> None:
        """Hear that the head is there; None as length: the body comes in chunks."""
        super().gotLength(length)
        if self._guard is None or length == 0:
            return
        self._guard.expect(get_conf().request_seconds)
        if length is not None and length > get_conf().max_request_bytes:
            self._take(length)

    def handleContentChunk(self, data: bytes) -> None:
        if self._guard is None or self._take(len(data)):
            super().handleContentChunk(data)

    def process(self) -> Any:
        """Hear that the request is whole, and serve it."""
        if self._guard is not None:
            deadlines.done(self._guard)
            self._guard.inbound.wait_for("answer")
        if self._is_refused:
            self.channel.loseConnection()
            return None
        self.requestHeaders.removeHeader(b"daphne-root-path")  # any client could set our script prefix by it
        if self.requestHeaders.hasHeader(b"upgrade") and (fault := self._fault_of_upgrade()):
            self.basic_error(400, b"Bad Request", fault)
            return None
        served = super().process()
        if self._guard is not None and self.transport is None:  # a WebSocket has it now
            self._guard.inbound.ready("answer")
        return served

    def finish(self) -> None:
        super().finish()
        self._body.done()
        if self._guard is not None:
            self._guard.inbound.ready("answer")
            self._guard.is_idle = True
            self._guard.expect(math.inf)  # Twisted's own time-out, or others that want the room

    def connectionLost(self, reason) -> None:
        super().connectionLost(reason)
        self._body.done()

    def _take(self, size: int) -> bool:
        """Count in a part of the body; answer at once when it is too much, and leave the rest unread."""
        try:
            if not self._is_refused:
                self._body.take(size)
        except Refused as refused:
            self._is_refused = True
            logger.warning("refused a request: %s", refused)
            self.transport.write(
                f"HTTP/1.1 {refused.status} {refused.errors[0].message}\r\nConnection: close\r\n"
                "Content-Length: 0\r\n\r\n".encode()
            )
            # Closed at once, the answer would be lost with what the client still sends.
            self._guard.expect(get_conf().handshake_seconds)
        return not self._is_refused

    def _fault_of_upgrade(self) -> str:
        """Return what daphne or autobahn would stumble over, empty where there is nothing."""
        if self._body.has_any:
            return "A handshake has no body"
        for value in self.requestHeaders.getRawHeaders(b"sec-websocket-protocol", []):
            if not value.isascii() or unquote_to_bytes(value) != value:
                return "Invalid subprotocol"
        return ""


class GuardedWebSocket(WebSocketProtocol):
    """daphne's WebSocket, with limits for what comes in; autobahn's own hold for both directions."""

    failedByMe: bool
    _fragments = _bytes = _late = 0

    def onConnect(self, request) -> Any:
        self._controls = Controls()
        # Until it is open autobahn would keep whatever comes, and read it as another handshake.
        self.transport.inbound.wait_for("acceptance")
        return super().onConnect(request)

    def onOpen(self) -> None:
        super().onOpen()
        self.transport.inbound.ready("acceptance")

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        super().onMessage(payload, isBinary)
        if self.application_queue.qsize() >= MAX_WAITING:
            self.transport.inbound.wait_for("application")

    def taken(self) -> None:
        """Hear that the application has taken a message."""
        if self.application_queue.qsize() < MAX_WAITING:
            self.transport.inbound.ready("application")

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
            self._say(f"message of {self._bytes} bytes in {self._fragments} frames")
            self.failedByMe = True  # autobahn's own mark: what follows is not kept
            self.sendClose(
                int(Code.BAD_MESSAGE), f"a message may be {get_conf().max_message_bytes} bytes long"
            )
        super().onMessageFrameBegin(length)

    def onPing(self, payload: bytes) -> None:
        if self._has_room_for_control():
            super().onPing(payload)

    def onPong(self, payload: bytes) -> None:
        if self._has_room_for_control():
            super().onPong(payload)

    def _has_room_for_control(self) -> bool:
        if self._controls.has_room():
            return True
        if not self.failedByMe:
            self._say("too many pings")
            self.failedByMe = True
            self.transport.abortConnection()
        return False

    def _say(self, fault: str) -> None:
        logger.warning("refused %s: %s", ":".join(map(str, self.client_addr or ["?"])), fault)
