"""Control over how the server of this process accepts connections: a few at a time, and none when it stops."""

import asyncio
from typing import Any

from . import reactor
from .private_objects import Feature, fits
from .shares import MAX_ACCEPTS

OPEN_CHECK_SECONDS = 0.05


def accept_few(handler: object) -> None:
    """Let uvicorn, which has not opened its ports yet, accept no more than ``MAX_ACCEPTS`` in a turn of the event loop.

    asyncio accepts as many connections as the backlog holds in one turn, and the work for all of them delays other
    clients by seconds. ``handler`` is the server's handler of SIGTERM: a method of the server.
    """
    server = getattr(handler, "__self__", None)
    config = getattr(server, "config", None)
    if fits(Feature.UVICORN_ACCEPTS) and config is not None and config.backlog > MAX_ACCEPTS:
        backlog, config.backlog = config.backlog, MAX_ACCEPTS
        _restore_backlog(server, backlog)


def _restore_backlog(server: Any, backlog: int) -> None:
    """When uvicorn's ports are open, restore the backlog with which it was started."""
    if not server.started:
        if not server.should_exit:
            asyncio.get_running_loop().call_later(OPEN_CHECK_SECONDS, _restore_backlog, server, backlog)
        return
    for listener in (listener for each in server.servers for listener in each.sockets):
        with listener.dup() as port:  # asyncio's own object cannot listen
            port.listen(backlog)


def stop_listening(handler: object) -> None:
    """Close the server's ports, so that clients and proxies connect to another server.

    ``handler`` is the server's handler of SIGTERM; uvicorn's is a method of the server. A server of another kind
    accepts connections until it stops.
    """
    if reactor.is_running():
        from twisted.internet.interfaces import IListeningPort

        for reader in reactor.loaded_reactor().getReaders():
            if IListeningPort.providedBy(reader):
                reader.stopListening()
    elif fits(Feature.UVICORN_PORTS):
        for server in getattr(getattr(handler, "__self__", None), "servers", []):
            server.close()
