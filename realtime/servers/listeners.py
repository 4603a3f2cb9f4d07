"""Stops accepting connections, under the server that runs in this process; those that are open go on."""

from . import reactor
from .private import Feature, fits


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
