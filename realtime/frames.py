"""WebSocket frames, built once for all connections, where the server takes them (``uvicorn.py``)."""

from functools import lru_cache

from .engine.messages import Encoded

EXTENSION = "realtime.write_frame"
"""Key in the ASGI scope's extensions: ``write_frame(frame: bytes) -> bool``, False: send it the usual way."""

_TEXT, _BINARY = 0x81, 0x82


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
