"""An ASGI application called as a server would, without a client library."""

import asyncio
from typing import Any

from asgiref.testing import ApplicationCommunicator


def socket_scope(path: str = "/realtime/ws/", **more: Any) -> dict[str, Any]:
    return {
        "type": "websocket", "path": path, "subprotocols": [],
        "headers": [(b"host", b"localhost"), (b"origin", b"http://localhost")], **more,
    }  # fmt: skip


def http_scope(path: str = "/", **more: Any) -> dict[str, Any]:
    return {
        "type": "http", "method": "GET", "path": path, "http_version": "1.1",
        "headers": [(b"host", b"localhost")], **more,
    }  # fmt: skip


async def ended(inner, scope: dict[str, Any]) -> list[dict[str, Any]]:
    """Run an application for a socket that connects; return all it sent, whether it returned or raised."""
    communicator = ApplicationCommunicator(inner, scope)
    await communicator.send_input({"type": "websocket.connect"})
    await asyncio.gather(communicator.future, return_exceptions=True)
    return [communicator.output_queue.get_nowait() for _ in range(communicator.output_queue.qsize())]
