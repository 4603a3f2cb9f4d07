"""How the server that runs in this process accepts connections: a few at a time, and at the end none."""

from . import reactor
from .open_files import max_connections
from .private import Feature, fits


def accept_few(handler: object) -> None:
    """Let uvicorn, which has not opened its ports yet, accept at once only a part of what the open files allow.

    The event loop accepts as many connections as the backlog before the first of them can be dropped; daphne's accepts
    a hundred. ``handler`` is what the server does on SIGTERM: a method of the server.
    """
    config = getattr(getattr(handler, "__self__", None), "config", None)
    if fits(Feature.UVICORN_ACCEPTS) and config is not None:
        config.backlog = min(config.backlog, max_connections() // 4)


def stop_listening(handler: object) -> None:
    """Close the server's ports, so that clients and proxies connect to another server.

    ``handler`` is what the server does on SIGTERM: uvicorn's is a method of the server. A server of another
    kind accepts connections until it stops.
    """
    if reactor.is_running():
        from twisted.internet.interfaces import IListeningPort

        for reader in reactor.loaded_reactor().getReaders():
            if IListeningPort.providedBy(reader):
                reader.stopListening()
    elif fits(Feature.UVICORN_PORTS):
        for server in getattr(getattr(handler, "__self__", None), "servers", []):
            server.close()
