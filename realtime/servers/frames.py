"""WebSocket frames, built once for all connections and written past the server's own ``send``.

A message to a thousand connections is the same bytes a thousand times. Servers build the frame anew for each, and
daphne adds two calls of the selector and a turn of the loop. Where nothing waits before it, a ready frame can go to
the transport itself. It is not compressed, which every peer accepts.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from ..engine.messages import Encoded

WRITER = "realtime.write"
"""Key in the scope that the consumer gets: a ``Writer``, or None where the server has no place for one."""

Writer = Callable[[Encoded], bool]
"""Writes a message to an accepted socket if it can go out now; False: it has to be sent the usual way."""

_TEXT, _BINARY = 0x81, 0x82

# What is asked of a transport. One that lacks a part, as with TLS or in another version, gets every message the usual
# way. Nothing is asked of protocols: each call looks at few objects, as with thousands of sockets none is in a cache.
_ASYNCIO = ("write", "is_closing", "get_write_buffer_size")
_TWISTED = ("write", "writeSomeData", "dataBuffer", "_tempDataBuffer", "connected", "disconnecting")


@lru_cache(maxsize=4)  # what is being told to all just now; a frame may be 256 KiB
def frame(message: Encoded) -> bytes:
    """Return a message as one unmasked frame of RFC 6455."""
    payload, kind = (message.encode(), _TEXT) if isinstance(message, str) else (message, _BINARY)
    size = len(payload)
    if size < 126:
        return bytes((kind, size)) + payload
    if size < 2**16:
        return bytes((kind, 126)) + size.to_bytes(2) + payload
    return bytes((kind, 127)) + size.to_bytes(8) + payload


def writer(send: Any) -> Writer | None:
    """Return what writes to the socket that a server's own ``send`` is of; None where that is not known."""
    # uvicorn's is a method of its protocol, daphne's functools.partial(…, protocol).
    protocol = getattr(send, "__self__", None) or next(iter(getattr(send, "args", ())), None)
    transport = getattr(protocol, "transport", None)
    if hasattr(protocol, "handshake_started_event"):  # uvicorn's older one: it answers the handshake after us
        return None
    if hasattr(type(transport), "guarded"):  # by guards.py
        transport = transport.guarded
    if all(hasattr(transport, name) for name in _ASYNCIO):
        return _to_asyncio(transport)
    # TLS around a socket hands on what it is asked for, and would write past itself.
    if hasattr(type(transport), "writeSomeData") and all(hasattr(transport, name) for name in _TWISTED):
        return _to_twisted(transport)
    return None


def _to_asyncio(transport: Any) -> Writer:
    def write(message: Encoded) -> bool:
        if transport.is_closing() or transport.get_write_buffer_size():
            return False
        transport.write(frame(message))
        return True

    return write


def _to_twisted(transport: Any) -> Writer:
    def write(message: Encoded) -> bool:
        if (
            transport.dataBuffer
            or transport._tempDataBuffer
            or transport.disconnecting
            or not transport.connected
        ):
            return False
        framed = frame(message)
        written = transport.writeSomeData(framed)
        if not isinstance(written, int):  # an error: Twisted finds out for itself
            return False
        if written < len(framed):
            transport.write(framed[written:])
        return True

    return write
