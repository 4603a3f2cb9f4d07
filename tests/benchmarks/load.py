"""The load: thousands of clients in one process, fast enough not to dominate what is measured.

Its own cost is printed with the results. A contestant's protocol is a dialect: what a client sends when it is open, and
which of the messages received are deliveries.
"""

import asyncio
import random
import resource
import time
import urllib.parse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

AT_ONCE = 50
"""How many connections are opened at the same time."""


@dataclass(slots=True)
class Arrivals:
    """The time of each delivery and of each refusal, in seconds of ``perf_counter``, and the size of all deliveries."""

    times: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    bytes: int = 0

    def clear(self) -> None:
        self.times.clear()
        self.bytes = 0


class Client(WSListener):
    """A client of one topic: records deliveries, acknowledges them, and keeps its position."""

    def __init__(self, arrivals: Arrivals, topic: str, format: str = "rows") -> None:
        self.arrivals, self.topic, self.format = arrivals, topic, format
        self.position = b""
        self.latest = b""  # the payload of the last delivery
        self.transport: WSTransport | None = None
        self._received = self._unacknowledged = 0

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        position = f',"position":"{self.position.decode()}"' if self.position else ""
        asked = f'{{"type":"subscribe","topic":"{self.topic}","format":"{self.format}"{position}}}'
        transport.send(WSMsgType.TEXT, asked.encode())

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
            return
        payload = frame.get_payload_as_bytes()
        self._received += 1
        self._unacknowledged += len(payload)
        head = payload[:20]
        if b'"changes"' in head or b'"snapshot"' in head:
            self.arrivals.times.append(time.perf_counter())
            self.arrivals.bytes += len(payload)
            self.latest = payload
            at = payload.index(b'"position":"') + 12
            self.position = payload[at : payload.index(b'"', at)]
        if b'"error"' in head:
            self.arrivals.refused.append(time.perf_counter())
        if b'"heartbeat"' in head or self._unacknowledged > 65536:
            self._unacknowledged = 0
            transport.send(WSMsgType.TEXT, b'{"type":"ack","received":%d}' % self._received)


class Listener(Client):
    """A client of a baseline: every message is a delivery."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.TEXT:
            return
        payload = frame.get_payload_as_bytes()
        if payload[:2] == b"0{":  # the handshake of socket.io
            transport.send(WSMsgType.TEXT, b"40")
        elif payload == b"2":  # its ping
            transport.send(WSMsgType.TEXT, b"3")
        elif b"changes" in payload[:40]:
            self.arrivals.times.append(time.perf_counter())
            self.arrivals.bytes += len(payload)


class ManyTopics(WSListener):
    """A client of many topics that keeps their rows and the times of refusals; it acknowledges what it receives."""

    def __init__(self, topics: Sequence[str], column: str = "value", format: str = "rows") -> None:
        self.topics, self.column, self.format = topics, column, format
        self.rows: dict[str, str] = {}
        """One column of each row, by key."""
        self.answered: set[str] = set()
        """The topics of which a whole snapshot has arrived."""
        self.refused: dict[str, float] = {}
        """When each topic was refused."""
        self.pongs: list[float] = []
        """When heartbeats arrived: the server also answers a ping with one."""
        self.closed = ""
        """Why the server has closed the connection; it is not opened again."""
        self.transport: WSTransport | None = None
        self._received = self._unacknowledged = 0

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.closed = self.closed or "without a reason"

    def subscribe(self, topics: Sequence[str]) -> None:
        assert self.transport is not None
        for topic in topics:
            asked = f'{{"type":"subscribe","topic":"{topic}","format":"{self.format}"}}'
            self.transport.send(WSMsgType.TEXT, asked.encode())

    def ping(self) -> None:
        assert self.transport is not None
        self.transport.send(WSMsgType.TEXT, b'{"type":"ping"}')

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
            return
        payload = frame.get_payload_as_bytes()
        message = msgspec.json.decode(payload)
        self._received += 1
        self._unacknowledged += len(payload)
        kind = message["type"]
        if kind == "snapshot":
            for row in message["rows"]:
                self._keep(row)
            if not message.get("more"):
                self.answered.add(message["topic"])
        elif kind == "changes":
            for change in message["changes"]:
                self._keep(change)
        elif kind == "error" and "topic" in message:
            self.refused[message["topic"]] = time.perf_counter()
        elif kind == "heartbeat":
            self.pongs.append(time.perf_counter())
        elif kind == "bye":
            self.closed = f"{message['code']} {message['reason']}"
        if self._unacknowledged > 32768 or kind == "heartbeat":
            self._unacknowledged = 0
            transport.send(WSMsgType.TEXT, b'{"type":"ack","received":%d}' % self._received)

    def _keep(self, row: dict[str, Any]) -> None:
        if row.get("op") == "delete":
            self.rows.pop(row["key"], None)
        elif "row" in row:
            self.rows[row["key"]] = row["row"][self.column]


async def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until a condition holds; return whether it did in time."""
    deadline = time.perf_counter() + seconds
    while not condition():
        if time.perf_counter() > deadline:
            return False
        await asyncio.sleep(0.002)
    return True


class EventListener(asyncio.Protocol):
    """A client of a stream of Server-Sent Events: every event with a change is a delivery."""

    def __init__(self, arrivals: Arrivals, path: str, host: str) -> None:
        self._arrivals, self._request = arrivals, f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        for _ in range(data.count(b'"changes"')):
            self._arrivals.times.append(time.perf_counter())
        self._arrivals.bytes += len(data)


class Load:
    """The clients of one contestant; ``opened_in`` is the number of seconds that opening them took."""

    def __init__(
        self, url: str, dialect: str = "tidemark", format: str = "rows", settle_seconds: float = 2
    ) -> None:
        self._url, self._dialect, self._format, self._settle_seconds = url, dialect, format, settle_seconds
        self.arrivals = Arrivals()
        self.clients: list[Client] = []
        self._transports: list[WSTransport | asyncio.Transport] = []
        self.opened_in = 0.0

    async def open(self, topics: Sequence[str]) -> None:
        """Open a client for each of these topics, then wait until their snapshots have been delivered."""
        began = time.perf_counter()
        for start in range(0, len(topics), AT_ONCE):
            await asyncio.gather(*(self._open(topic) for topic in topics[start : start + AT_ONCE]))
        self.opened_in = time.perf_counter() - began
        await asyncio.sleep(self._settle_seconds)
        self.arrivals.clear()

    async def _open(self, topic: str) -> None:
        if self._dialect == "events":
            parts = urllib.parse.urlsplit(self._url)
            loop = asyncio.get_running_loop()
            _, listener = await loop.create_connection(
                lambda: EventListener(self.arrivals, f"{parts.path}?{parts.query}", parts.netloc),
                parts.hostname,
                parts.port,
            )
            self._transports.append(listener.transport)
            return
        kind = Client if self._dialect == "tidemark" else Listener
        client = kind(self.arrivals, topic, self._format)
        transport, _ = await ws_connect(lambda: client, self._url)
        self.clients.append(client)
        self._transports.append(transport)

    async def until(self, deliveries: int, seconds: float) -> bool:
        """Wait for a number of deliveries; return whether they arrived in time."""
        return await until(lambda: len(self.arrivals.times) >= deliveries, seconds)

    async def until_latest(self, words: bytes, seconds: float = 60) -> float:
        """Wait until the only client's last delivery contains the words; return when it arrived.

        Raises: TimeoutError.
        """
        (client,) = self.clients
        async with asyncio.timeout(seconds):
            while words not in client.latest:
                await asyncio.sleep(0.001)
        return self.arrivals.times[-1]

    def close(self) -> None:
        for transport in self._transports:
            if isinstance(transport, WSTransport):
                transport.disconnect(False)
            else:
                transport.abort()


async def reconnect(load: Load, url: str, is_current: Callable[[Client], bool], seconds: float) -> int:
    """Let all clients of a killed server reconnect as docs/protocol.md describes; return the number of handshakes.

    Each client resumes from its position, until it is current.
    """
    handshakes = 0

    async def resume(client: Client) -> None:
        nonlocal handshakes
        attempt = 0
        while not is_current(client):
            await asyncio.sleep(random.random() * min(20, 0.5 * 2**attempt))
            attempt += 1
            handshakes += 1
            try:
                transport, _ = await ws_connect(lambda: client, url)
            except Exception:  # refused or reset: the server has not started yet
                continue
            load._transports.append(transport)
            gone = asyncio.create_task(transport.wait_disconnected())
            while not is_current(client) and not gone.done():
                await asyncio.wait([gone], timeout=0.05)
            gone.cancel()

    async with asyncio.timeout(seconds):
        await asyncio.gather(*map(resume, load.clients))
    return handshakes


def allow_many_files() -> int:
    """Raise the limit of open files to the hard limit, for this process and its children; return the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
