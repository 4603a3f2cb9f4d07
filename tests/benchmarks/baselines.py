"""Baselines: a consumer in a Channels group as in the Channels tutorial, and the least that Python can do.

``application`` runs on any ASGI server. ``GET /send`` sends one message of the usual size to all clients.
"""

import asyncio
import base64
import hashlib
import json
import sys
from typing import Any

import django
from django.conf import settings

MESSAGE = json.dumps({"type": "changes", "topic": "entries.1", "padding": "x" * 180})

if not settings.configured:
    settings.configure(
        CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
        INSTALLED_APPS=["channels"],
        ALLOWED_HOSTS=["*"],
    )
    django.setup()

from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402
from channels.layers import get_channel_layer  # noqa: E402


class GroupConsumer(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        await self.channel_layer.group_add("everyone", self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard("everyone", self.channel_name)

    async def group_message(self, event: dict[str, str]) -> None:
        await self.send(text_data=event["text"])


consumer = GroupConsumer.as_asgi()


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await consumer(scope, receive, send)
    elif scope["type"] == "http":
        if scope["path"] == "/send":
            await get_channel_layer().group_send("everyone", {"type": "group.message", "text": MESSAGE})
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})


class Floor(asyncio.Protocol):
    """The least work a Python process can do: it writes one encoded frame to each socket."""

    sockets: set[asyncio.Transport] = set()
    payload = MESSAGE.encode()
    frame = b"\x81\x7e" + len(payload).to_bytes(2, "big") + payload

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"GET /send"):
            for socket in self.sockets:
                socket.write(self.frame)
            self.transport.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
            self.transport.close()
        elif b"Upgrade: websocket" in data:
            (key,) = [
                line[19:] for line in data.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key: ")
            ]
            digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
            self.transport.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
            )
            self.sockets.add(self.transport)
        elif data.startswith(b"GET "):
            self.transport.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self.sockets.discard(self.transport)


async def floor(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Floor, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(floor(int(sys.argv[1])))
