"""The contract for private objects: everything that ``realtime/servers`` uses of other packages beyond their public
API.

``PARTS`` names every such object with its package and its use, by feature; ``VERSIONS`` names the versions known to
fit. A feature is probed once, names and signatures, before its first use. If a part does not match, the server runs
without the feature; the log reports it at start, and so does ``manage.py doctor``.
"""

import importlib
import importlib.util
import inspect
import logging
import sys
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

logger = logging.getLogger("realtime.servers")

VERSIONS = {
    "daphne": ("4.2.3", "4.2.3"),
    "twisted": ("25.5.0", "26.10.0"),
    "autobahn": ("26.7.1", "26.10.2"),
    "uvicorn": ("0.52.0", "0.54.0"),
}
"""The lowest and the highest version of each package that the guards were run on (``make versions``)."""

SERVERS = {"daphne": "daphne.server", "uvicorn": "uvicorn"}
"""The servers whose private objects we use, and a module of each that is loaded wherever it serves."""


class Feature(Enum):
    """A feature that depends on private objects: its server, and its description in the log."""

    DAPHNE_GUARDS = ("daphne", "guards against hostile clients")
    DAPHNE_BACKPRESSURE = ("daphne", "waiting for slow readers")
    DAPHNE_FRAMES = ("daphne", "ready frames")
    DAPHNE_STALLED = ("daphne", "ending stalled clients")
    DAPHNE_STOP = ("daphne", "farewells when the server stops")
    UVICORN_GUARDS = ("uvicorn", "guards against hostile clients")
    UVICORN_FRAMES = ("uvicorn", "ready frames")
    UVICORN_STALLED = ("uvicorn", "ending stalled clients")
    UVICORN_PORTS = ("uvicorn", "closing its port before its connections are moved")
    UVICORN_ACCEPTS = ("uvicorn", "accepting connections a few at a time")
    UVICORN_BACKPRESSURE = ("uvicorn", "waiting for slow readers of HTTP answers")

    def __init__(self, server: str, words: str) -> None:
        self.server, self.words = server, words


@dataclass(frozen=True, slots=True)
class Part:
    """One private object: its package, ``module:name`` of it, and the conditions that it must meet.

    ``parameters``: a method that we override, or a function that we replace, has exactly these.
    ``arguments``: a function that we call can be called with these; those ending in ``=`` by name.
    ``names``: the code of a function sets or uses these attributes, which exist on instances only.
    None of the three: the object exists.
    ``only_if_loaded``: its module serves only where it has been chosen, as one of two parsers.
    """

    package: str
    where: str
    parameters: tuple[str, ...] | None = None
    arguments: tuple[str, ...] | None = None
    names: tuple[str, ...] = ()
    only_if_loaded: bool = False

    def fault(self) -> str:
        """Return the mismatch, empty if there is none."""
        module, _, path = self.where.partition(":")
        if self.only_if_loaded and module not in sys.modules:
            return ""
        try:
            found: Any = importlib.import_module(module)
            for name in path.split("."):
                found = getattr(found, name)
        except (ImportError, AttributeError) as error:
            return f"{self.where} is missing ({error})"
        return self._fault_of(found)

    def _fault_of(self, found: Any) -> str:
        try:
            if self.parameters is not None:
                present = tuple(inspect.signature(found).parameters)
                if present != self.parameters:
                    return f"{self.where} has the parameters ({', '.join(present)}), not ({', '.join(self.parameters)})"
            if self.arguments is not None:
                positional = [name for name in self.arguments if not name.endswith("=")]
                named = {name.removesuffix("="): None for name in self.arguments if name.endswith("=")}
                inspect.signature(found).bind(*positional, **named)
            if self.names:
                missing = set(self.names) - set(inspect.unwrap(found).__code__.co_names)
                if missing:
                    return f"{self.where} does not use {', '.join(sorted(missing))}"
        except (TypeError, ValueError, AttributeError) as error:
            return f"{self.where}: {error}"
        return ""


def _exists(package: str, *where: str) -> tuple[Part, ...]:
    return tuple(Part(package, name) for name in where)


def _overridden(package: str, where: str, *parameters: str, only_if_loaded: bool = False) -> Part:
    return Part(package, where, parameters=parameters, only_if_loaded=only_if_loaded)


def _called(package: str, where: str, *arguments: str) -> Part:
    return Part(package, where, arguments=arguments)


def _uses(package: str, where: str, *names: str, only_if_loaded: bool = False) -> Part:
    return Part(package, where, names=names, only_if_loaded=only_if_loaded)


_REQUEST = "daphne.http_protocol:WebRequest"
_SOCKET = "daphne.ws_protocol:WebSocketProtocol"
_TCP = "twisted.internet.tcp:Server"
_HTTP = "uvicorn.protocols.http.auto:AutoHTTPProtocol"
_FLOW = "uvicorn.protocols.http.flow_control:FlowControl"
_SANSIO = "uvicorn.protocols.websockets.websockets_sansio_impl:WebSocketsSansIOProtocol"

# A daphne's `send` is functools.partial(server.handle_reply, protocol): `transport.py` reads the protocol from it.
_DAPHNES_SEND = (
    _uses("daphne", "daphne.server:Server.create_application", "partial", "handle_reply"),
    _overridden("daphne", "daphne.server:Server.handle_reply", "self", "protocol", "message"),
)
# uvicorn's `send` is a method of the object that has the transport, which is its protocol or its request.
_UVICORNS_SEND = (
    _uses("uvicorn", f"{_SANSIO}.__init__", "transport"),
    _uses("uvicorn", f"{_SANSIO}.run_asgi", "app", "send"),
    *(
        _uses("uvicorn", f"uvicorn.protocols.http.{parser}:RequestResponseCycle.{method}", *names,
              only_if_loaded=True)
        for parser in ("h11_impl", "httptools_impl")
        for method, names in (("__init__", ["transport"]), ("run_asgi", ["send"]))
    ),
)  # fmt: skip

PARTS: dict[Feature, tuple[Part, ...]] = {
    Feature.DAPHNE_GUARDS: (
        # Where a port's connections and their WebSockets are made.
        _uses("twisted", "twisted.internet.tcp:Port.doRead", "factory", "buildProtocol"),
        _uses("twisted", "twisted.protocols.policies:WrappingFactory.__init__", "wrappedFactory"),
        _uses("twisted", "twisted.protocols.policies:ProtocolWrapper.__init__", "wrappedProtocol"),
        _uses("daphne", "daphne.http_protocol:HTTPFactory.__init__", "server"),
        _overridden("daphne", "daphne.http_protocol:HTTPFactory.buildProtocol", "self", "addr"),
        _uses("daphne", "daphne.http_protocol:HTTPFactory.buildProtocol", "requestFactory"),
        _uses("daphne", "daphne.server:Server.run", "ws_factory"),
        *_exists("daphne", "daphne.ws_protocol:WebSocketFactory.protocol"),
        # A request.
        _called("daphne", f"{_REQUEST}.__init__", "self", "channel", "queued", "parsePOSTFormSubmission="),
        _called(
            "twisted", "twisted.web.http:Request.__init__", "self", "channel", "queued",
            "parsePOSTFormSubmission=",
        ),
        _uses("twisted", "twisted.web.http:Request.__init__", "channel", "transport", "requestHeaders"),
        _overridden("twisted", f"{_REQUEST}.gotLength", "self", "length"),
        _overridden("twisted", f"{_REQUEST}.handleContentChunk", "self", "data"),
        _overridden("daphne", f"{_REQUEST}.process", "self"),
        _uses("daphne", f"{_REQUEST}.process", "transport", "ws_factory"),
        _overridden("daphne", f"{_REQUEST}.finish", "self"),
        _overridden("daphne", f"{_REQUEST}.connectionLost", "self", "reason"),
        _called("daphne", f"{_REQUEST}.basic_error", "self", "status", "status_text", "body"),
        _called("twisted", "twisted.web.http:HTTPChannel.loseConnection", "self"),
        # A WebSocket.
        _overridden("daphne", f"{_SOCKET}.onConnect", "self", "request"),
        _uses("daphne", f"{_SOCKET}.onConnect", "client_addr"),
        _overridden("daphne", f"{_SOCKET}.onOpen", "self"),
        _overridden("daphne", f"{_SOCKET}.onMessage", "self", "payload", "isBinary"),
        _uses("daphne", f"{_SOCKET}.applicationCreateWorked", "application_queue"),
        _overridden("autobahn", f"{_SOCKET}.onMessageBegin", "self", "isBinary"),
        _overridden("autobahn", f"{_SOCKET}.onMessageFrameBegin", "self", "length"),
        _overridden("autobahn", f"{_SOCKET}.onPing", "self", "payload"),
        _overridden("autobahn", f"{_SOCKET}.onPong", "self", "payload"),
        _called("autobahn", f"{_SOCKET}.sendClose", "self", "code", "reason"),
        _uses("autobahn", "autobahn.websocket.protocol:WebSocketProtocol._connectionMade", "failedByMe"),
        _uses("autobahn", "autobahn.websocket.protocol:WebSocketProtocol.__init__", "is_closed"),
        _uses("autobahn", "autobahn.websocket.protocol:WebSocketProtocol.onMessageFrameData", "failedByMe"),
    ),
    Feature.DAPHNE_BACKPRESSURE: (
        *_DAPHNES_SEND,
        _called("autobahn", f"{_SOCKET}.registerProducer", "self", "producer", "streaming"),
        _called("autobahn", f"{_SOCKET}.unregisterProducer", "self"),
        _called("twisted", f"{_REQUEST}.registerProducer", "self", "producer", "streaming"),
        _called("twisted", f"{_REQUEST}.unregisterProducer", "self"),
        _uses("twisted", "twisted.web.http:Request.connectionLost", "channel"),
        *_exists("twisted", f"{_TCP}.bufferSize"),
        _called("twisted", f"{_TCP}.abortConnection", "self"),
    ),
    Feature.DAPHNE_FRAMES: (
        *_DAPHNES_SEND,
        *_exists("twisted", *(f"{_TCP}.{name}" for name in ("dataBuffer", "connected", "disconnecting"))),
        _uses("twisted", "twisted.internet.abstract:FileDescriptor.__init__", "_tempDataBuffer"),
        _uses("twisted", "twisted.internet.tcp:Connection.__init__", "socket"),
        _uses("twisted", f"{_TCP}.writeSomeData", "socket", "send"),
    ),
    Feature.DAPHNE_STALLED: (
        *_exists("twisted", f"{_TCP}.dataBuffer", f"{_TCP}.offset"),
        _called("twisted", f"{_TCP}.abortConnection", "self"),
        _called("twisted", "twisted.internet.reactor:getWriters"),
    ),
    Feature.DAPHNE_STOP: (
        _called("twisted", "twisted.internet.reactor:addSystemEventTrigger", "phase", "eventType", "callable"),
        _called("twisted", "twisted.internet.defer:Deferred.fromFuture", "future"),
    ),
    Feature.UVICORN_GUARDS: (
        _overridden("uvicorn", f"{_HTTP}.connection_made", "self", "transport"),
        _overridden("uvicorn", f"{_HTTP}.data_received", "self", "data"),
        _overridden("uvicorn", f"{_HTTP}.connection_lost", "self", "exc"),
        _overridden("uvicorn", f"{_HTTP}.send_400_response", "self", "msg"),
        _overridden("uvicorn", f"{_HTTP}.on_response_complete", "self"),
        _overridden(
            "uvicorn", "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol.on_header", "self", "name", "value",
            only_if_loaded=True,
        ),
        _uses(
            "uvicorn", "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol.connection_lost", "parser",
            only_if_loaded=True,
        ),
        _uses(
            "uvicorn", f"{_HTTP}.__init__",
            "transport", "client", "cycle", "scope", "flow", "timeout_keep_alive_task",
        ),
        *(
            _uses("uvicorn", f"uvicorn.protocols.http.{parser}:RequestResponseCycle.__init__", "scope", "body",
                  "more_body", "response_complete", only_if_loaded=True)
            for parser in ("h11_impl", "httptools_impl")
        ),
        _called("uvicorn", f"{_FLOW}.__init__", "self", "transport"),
        _overridden("uvicorn", f"{_FLOW}.pause_reading", "self"),
        _overridden("uvicorn", f"{_FLOW}.resume_reading", "self"),
        _overridden("uvicorn", f"{_SANSIO}.connection_made", "self", "transport"),
        _overridden("uvicorn", f"{_SANSIO}.data_received", "self", "data"),
        _overridden("uvicorn", f"{_SANSIO}.connection_lost", "self", "exc"),
        _overridden("uvicorn", f"{_SANSIO}.pause_writing", "self"),
        _overridden("uvicorn", f"{_SANSIO}.resume_writing", "self"),
        _overridden("uvicorn", f"{_SANSIO}.receive", "self"),
        _overridden("uvicorn", f"{_SANSIO}.send_receive_event_to_app", "self"),
        _overridden("uvicorn", f"{_SANSIO}.handle_cont", "self", "event"),
        _overridden("uvicorn", f"{_SANSIO}.handle_ping", "self"),
        _overridden("uvicorn", f"{_SANSIO}.handle_pong", "self", "event"),
        _called("uvicorn", f"{_SANSIO}.handle_parser_exception", "self"),
        _uses(
            "uvicorn", f"{_SANSIO}.__init__",
            "transport", "client", "conn", "queue", "frames", "close_sent", "handshake_initiated",
        ),
        _uses("uvicorn", f"{_SANSIO}.handle_connect", "scope"),
        _uses("uvicorn", f"{_SANSIO}.send_receive_event_to_app", "curr_msg_data_type", "frames", "queue"),
    ),
    Feature.UVICORN_BACKPRESSURE: (
        *_UVICORNS_SEND,
        *(
            _uses("uvicorn", f"uvicorn.protocols.http.{parser}:RequestResponseCycle.__init__", "flow",
                  only_if_loaded=True)
            for parser in ("h11_impl", "httptools_impl")
        ),
        _uses("uvicorn", f"{_FLOW}.__init__", "write_paused"),
        _called("uvicorn", f"{_FLOW}.drain", "self"),
    ),
    Feature.UVICORN_FRAMES: _UVICORNS_SEND,
    Feature.UVICORN_STALLED: _UVICORNS_SEND,
    Feature.UVICORN_PORTS: (
        _called("uvicorn", "uvicorn.server:Server.handle_exit", "self", "sig", "frame"),
        _uses("uvicorn", "uvicorn.server:Server.startup", "servers"),
    ),
    Feature.UVICORN_ACCEPTS: (
        _called("uvicorn", "uvicorn.server:Server.handle_exit", "self", "sig", "frame"),
        _uses("uvicorn", "uvicorn.server:Server.startup", "backlog", "servers", "started"),
        _uses("uvicorn", "uvicorn.server:Server.__init__", "should_exit"),
    ),
}  # fmt: skip
"""Every private object that we use, by the feature that needs it."""


def fits(feature: Feature) -> bool:
    """Return whether a feature can be had: its server is loaded in this process, and all its parts match.

    It imports no server, and so does not load Twisted.
    """
    return SERVERS[feature.server] in sys.modules and not faults(feature)


@cache
def faults(feature: Feature) -> tuple[str, ...]:
    """Return the faults of a feature's parts that do not match the installed packages; this imports the server."""
    found = []
    for part in PARTS[feature]:
        fault = part.fault()
        if fault:
            found.append(f"{part.package} {_installed(part.package)}: {fault}")
    return tuple(found)


def advice(server: str) -> str:
    """Return which versions of a server's packages are known to fit."""
    packages = {
        part.package: None for feature in PARTS if feature.server == server for part in PARTS[feature]
    }
    known = [f"{package} {' to '.join(dict.fromkeys(VERSIONS[package]))}" for package in packages]
    return f"known to fit: {', '.join(known)}"


@cache
def report(server: str) -> None:
    """Log each feature that a loaded server runs without; once."""
    for feature in Feature:
        if feature.server == server and SERVERS[server] in sys.modules and faults(feature):
            logger.warning(
                "%s runs without %s: %s; %s", server, feature.words, faults(feature)[0], advice(server)
            )


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"


def load(server: str) -> bool:
    """Import a server, to probe it where it does not run (``doctor``); return whether it is installed."""
    if importlib.util.find_spec(server) is None:
        return False
    importlib.import_module(SERVERS[server])
    return True
