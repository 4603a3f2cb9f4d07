"""Attacking clients on plain sockets, which send bytes that no client library would send."""

import socket
import struct
import time

PATIENCE_SECONDS = 60.0

Address = tuple[str, int]


def head(*lines: bytes, start: bytes = b"GET / HTTP/1.1", host: bytes = b"127.0.0.1") -> bytes:
    """Return a request's head."""
    return b"\r\n".join([start, b"Host: " + host, *lines, b"", b""])


def upgrade(
    *lines: bytes,
    path: bytes = b"/realtime/ws/",
    key: bytes = b"dGhlIHNhbXBsZSBub25jZQ==",
    version: bytes = b"13",
    host: bytes = b"127.0.0.1",
) -> bytes:
    """Return the head of a WebSocket handshake."""
    own = [b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Key: " + key]
    start = b"GET " + path + b" HTTP/1.1"
    return head(*own, b"Sec-WebSocket-Version: " + version, *lines, start=start, host=host)


def frame(
    payload: bytes = b"", opcode: int = 1, *, fin: bool = True, rsv: int = 0, is_masked: bool = True
) -> bytes:
    """Return a WebSocket frame as a client sends it, whether the standard allows it or not."""
    size, mask = len(payload), 0x80 if is_masked else 0
    if size < 126:
        length = bytes([mask | size])
    elif size < 2**16:
        length = bytes([mask | 126]) + struct.pack("!H", size)
    else:
        length = bytes([mask | 127]) + struct.pack("!Q", size)
    return bytes([fin << 7 | rsv << 4 | opcode]) + length + (b"\0\0\0\0" if is_masked else b"") + payload


class Attacker:
    """One connection that sends any bytes and records in ``is_over`` that the server has closed it."""

    def __init__(self, address: Address, first: bytes = b"", source: str = "127.0.0.1") -> None:
        """``source`` is the attacker's own address."""
        self._socket = socket.create_connection(address, timeout=PATIENCE_SECONDS, source_address=(source, 0))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._unsent = b""
        self.read = b""
        self.is_over = False
        self.send(first)

    def send(self, data: bytes) -> None:
        """Send all of the data, however many writes that needs.

        Raises: TimeoutError, if the server does not read for a minute.
        """
        self._socket.settimeout(PATIENCE_SECONDS)
        try:
            self._socket.sendall(data)
        except TimeoutError:
            raise
        except OSError:
            self.is_over = True

    def send_without_waiting(self, data: bytes) -> None:
        """Send what fits into the socket's buffer; the next call first sends the rest."""
        self._socket.setblocking(False)
        self._unsent = self._unsent or data
        try:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self.is_over = True

    def receive_until(self, words: bytes | None = None, seconds: float = PATIENCE_SECONDS) -> bytes:
        """Read until these words arrive or the connection ends; return the last 100,000 bytes read so far.

        Raises: TimeoutError, if neither happens in that time.
        """
        deadline = time.monotonic() + seconds
        while words is None or words not in self.read:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            if not self._receive():
                break
        return self.read

    def has_ended(self) -> bool:
        """Return whether the server has ended the connection, without consuming what it sent."""
        self._socket.setblocking(False)
        try:
            self.is_over = self.is_over or not self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            pass
        except OSError:
            self.is_over = True
        return self.is_over

    def close(self) -> None:
        self._socket.close()

    def abort(self) -> None:
        """Leave with a reset, as a browser does whose page is closed."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def __enter__(self) -> "Attacker":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _receive(self) -> bool:
        """Read once; return False if the connection has ended."""
        try:
            part = self._socket.recv(65536)
        except TimeoutError:
            raise
        except OSError:
            part = b""
        self.read = (self.read + part)[-100_000:]
        self.is_over = not part
        return bool(part)


def greeted(address: Address, *lines: bytes) -> Attacker:
    """Return an attacker whose WebSocket handshake has been answered: with a welcome, or by a refusal."""
    attacker = Attacker(address, upgrade(*lines))
    if attacker.receive_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 "):
        attacker.receive_until(b'"welcome"')
    return attacker


def status(address: Address, request: bytes, source: str = "127.0.0.1") -> int:
    """Return the status of the answer to a request, 0 if the connection ends without one."""
    with Attacker(address, request, source) as attacker:
        line = attacker.receive_until(b"\r\n").partition(b"\r\n")[0]
    return int(line.split()[1]) if line.startswith(b"HTTP/") else 0
