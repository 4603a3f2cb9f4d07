"""Optional: a WebSocket protocol for uvicorn that takes frames as they are.

    uvicorn config.asgi:application --ws realtime.uvicorn:FrameProtocol

A message to a thousand connections is the same bytes a thousand times. uvicorn builds the frame anew for each;
this writes it, where nothing waits before it. Frames written so are not compressed, which every peer accepts.
"""

from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from .frames import EXTENSION


class FrameProtocol(WebSocketsSansIOProtocol):
    """uvicorn's own, with one extension in the ASGI scope: a function that writes a frame."""

    def handle_connect(self, event) -> None:
        super().handle_connect(event)
        if not self.close_sent:
            cast(dict[str, Any], self.scope["extensions"])[EXTENSION] = self.write_frame

    def write_frame(self, frame: bytes) -> bool:
        """Write a frame if it can go out now; return whether it did."""
        if not self.handshake_complete or self.close_sent or self.disconnected or not self.writable.is_set():
            return False
        self.transport.write(frame)
        return True
