"""Stalled clients: they open a connection, subscribe to a topic, and read nothing of it."""

import base64
import os
import socket

from tests.support.servers import Server


def stalled_socket(server: Server) -> socket.socket:
    """Open a WebSocket that subscribes to a topic and then reads nothing."""
    key = base64.b64encode(os.urandom(16)).decode()
    opened = _connect(
        server, f"GET /realtime/ws/ HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )  # fmt: skip
    while not opened.recv(4096).rstrip(b"\r\n").startswith(b"HTTP/1.1 101"):
        pass
    payload, mask = b'{"type":"subscribe","topic":"entries.1"}', os.urandom(4)
    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    opened.sendall(bytes((0x81, 0x80 | len(payload))) + mask + masked)
    return opened


def stalled_stream(server: Server) -> socket.socket:
    """Request a stream of Server-Sent Events and read nothing of it."""
    host = f"127.0.0.1:{server.port}"
    return _connect(server, f"GET /realtime/sse/?topic=entries.1 HTTP/1.1\r\nHost: {host}\r\n\r\n")


def _connect(server: Server, request: str) -> socket.socket:
    opened = socket.socket()
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    opened.settimeout(10)
    opened.connect((server.host, server.port))
    opened.sendall(request.encode())
    return opened
