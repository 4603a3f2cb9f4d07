"""WebSocket frames, built once for all connections and written past the server's own ``send``.

A message to a thousand connections consists of the same bytes a thousand times. Servers build the frame again for each,
and daphne adds two calls of the selector and a turn of the loop. If nothing else is waiting to be written, a ready
frame is written to the transport itself. It is not compressed, which every client accepts.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from ..engine.messages import Encoded
from .private_objects import Feature, fits
from .transport import protocol_of, transport_of

WRITER = "realtime.write"
"""Key in the scope that the consumer gets: a ``Writer``, or None if ready frames cannot be written on this server."""

Writer = Callable[[Encoded], bool]
"""Writes a message to an accepted socket if the transport accepts it now; otherwise returns False, and ``send`` is
used."""

_TEXT, _BINARY = 0x81, 0x82

# The parts of a transport that are used. A transport that lacks one, as with TLS, gets every message by ``send``. These
# are no Protocol classes: each call touches few objects, because with thousands of sockets none of them is in a cache.
_ASYNCIO = ("write", "is_closing", "get_write_buffer_size")
_TWISTED = ("write", "socket", "dataBuffer", "_tempDataBuffer", "connected", "disconnecting")


@lru_cache(maxsize=4)  # for the messages that are being sent to all now; a frame may have 256 KiB
def frame(message: Encoded) -> bytes:
    """Return a message as one unmasked frame of RFC 6455."""
    payload, kind = (message.encode(), _TEXT) if isinstance(message, str) else (message, _BINARY)
    size = len(payload)
    if size < 126:
        return bytes((kind, size)) + payload
    if size < 2**16:
        return bytes((kind, 126)) + size.to_bytes(2) + payload
    return bytes((kind, 127)) + size.to_bytes(8) + payload


def writer(send: object) -> Writer | None:
    """Return a writer for the socket of a server's own ``send``; None for an unknown server."""
    transport = transport_of(send)
    # uvicorn's older protocol answers the handshake only after the application has accepted.
    if hasattr(protocol_of(send), "handshake_started_event"):
        return None
    if hasattr(type(transport), "unguarded"):  # daphne.py's
        transport = transport.unguarded
    if all(hasattr(transport, name) for name in _ASYNCIO):
        return _to_asyncio(transport) if fits(Feature.UVICORN_FRAMES) else None
    # A wrapper for TLS delegates any attribute, so writing to the socket would bypass it.
    if hasattr(type(transport), "writeSomeData") and all(hasattr(transport, name) for name in _TWISTED):
        return _to_twisted(transport) if fits(Feature.DAPHNE_FRAMES) else None
    return None


def _to_asyncio(transport: Any) -> Writer:
    def write(message: Encoded) -> bool:
        if transport.is_closing() or transport.get_write_buffer_size():
            return False
        transport.write(frame(message))
        return True

    return write


def _to_twisted(transport: Any) -> Writer:
    send = transport.socket.send

    def write(message: Encoded) -> bool:
        if (
            transport.dataBuffer
            or transport._tempDataBuffer
            or transport.disconnecting
            or not transport.connected
        ):
            return False
        framed = frame(message)
        try:
            written = send(framed)
        except BlockingIOError:
            written = 0
        except OSError:  # Twisted's next write gets the same error, and handles it
            return False
        if written < len(framed):
            transport.write(framed[written:])
        return True

    return write
