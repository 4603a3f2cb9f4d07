"""Plain WebSocket connections, for tests that look at single messages."""

import asyncio
import json
from functools import partial
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

PATIENCE_SECONDS = 60.0

opened = partial(connect, open_timeout=PATIENCE_SECONDS)
"""Connect as ``websockets`` does, with as much time for the handshake as a loaded server may need."""


async def receive(socket: ClientConnection, *types: str) -> dict[str, Any]:
    """Return the next message of one of these types; heartbeats and others may arrive before it."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            message: dict[str, Any] = json.loads(await socket.recv())
            if message["type"] in types:
                return message
