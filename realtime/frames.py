"""WebSocket frames, built once for all connections and written past the server's own ``send``.

A message to a thousand connections is the same bytes a thousand times. Servers build the frame anew for each, and
daphne adds two calls of the selector and a turn of the loop. Where nothing waits before it, a ready frame can go to
the transport itself. It is not compressed, which every peer accepts.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from .engine.messages import Encoded

WRITER = "realtime.write_frame"
"""Key in the scope that the consumer gets: a ``FrameWriter``, or None where the server has no place for one."""

FrameWriter = Callable[[bytes], bool]
"""Writes a frame if it can go out now; False: it has to be sent the usual way."""

_TEXT, _BINARY = 0x81, 0x82

# What is asked of a server. One that lacks a part, as another version may, gets every message the usual way.
_UVICORN = ("transport", "writable", "handshake_complete", "close_sent", "disconnected", "conn")
_DAPHNE = ("transport", "state", "send_queue", "STATE_OPEN", "serverSend")
_TWISTED_TRANSPORT = ("writeSomeData", "write", "dataBuffer", "_tempDataBuffer", "connected", "disconnecting")


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


def writer(send: Any) -> FrameWriter | None:
    """Return what writes frames to the socket that a server's own ``send`` is of; None where that is not known."""
    protocol = getattr(send, "__self__", None)  # uvicorn's is a method of its protocol
    if _has(protocol, _UVICORN):
        return _to_uvicorn(protocol)
    protocol = next(iter(getattr(send, "args", ())), None)  # daphne's is functools.partial(…, protocol)
    if _has(protocol, _DAPHNE) and _has(protocol.transport, _TWISTED_TRANSPORT):  # not so with TLS
        return _to_daphne(protocol)
    return None


def _has(thing: Any, names: tuple[str, ...]) -> bool:
    return all(hasattr(thing, name) for name in names)


def _to_uvicorn(protocol: Any) -> FrameWriter:
    def write(frame: bytes) -> bool:
        if (
            not protocol.handshake_complete
            or protocol.close_sent
            or protocol.disconnected
            or not protocol.writable.is_set()
        ):
            return False
        protocol.transport.write(frame)
        return True

    return write


def _to_daphne(protocol: Any) -> FrameWriter:
    transport = protocol.transport

    def write(frame: bytes) -> bool:
        if (
            protocol.state != protocol.STATE_OPEN
            or protocol.send_queue
            or transport.dataBuffer
            or transport._tempDataBuffer
            or transport.disconnecting
            or not transport.connected
        ):
            return False
        written = transport.writeSomeData(frame)
        if not isinstance(written, int):  # an error: Twisted finds out for itself
            return False
        if written < len(frame):
            transport.write(frame[written:])
        return True

    return write
