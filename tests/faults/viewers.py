"""Viewers: clients that reconnect to any server, resume from their position, and have every message checked.

Like a page, a viewer has a state: ``is_live`` is true when the page's badge would say "live".
"""

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import Callable

import websockets
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from realtime.engine.messages import Changes, Error, Heartbeat, ServerMessage, Snapshot, decode_server
from realtime.engine.position import Position
from tests.faults.oracle import Oracle, State, values
from tests.support.replica import Replica

KEPT_MESSAGES = 4
MAX_REPORTED = 150
"""How much of a message a report shows, in characters."""


class Viewer:
    """Follows a topic as a page does: after ``silence`` seconds without a message it connects to another server."""

    def __init__(
        self,
        addresses: Callable[[], list[str]],
        topic: str,
        oracle: Oracle | None,
        silence: float,
        shows: str = "",
        on_change: Callable[["Viewer"], None] = lambda viewer: None,
    ) -> None:
        """``oracle`` is None for topics whose states are not recorded; ``shows`` names the rows of ``SELECT``."""
        self.replica = Replica(topic)
        self.shows = shows or topic
        self.connections = 0
        self.doubts = 0
        """How often it has noticed that its rows may not be current."""
        self._is_live = False
        self._received: deque[tuple[float, str]] = deque(maxlen=KEPT_MESSAGES)
        self._on_change = on_change
        self._addresses, self._oracle, self._silence = addresses, oracle, silence
        self._socket: ClientConnection | None = None
        self._abandoned: list[ClientConnection] = []
        self._task = asyncio.create_task(self._follow())

    @property
    def is_recorded(self) -> bool:
        """Whether the oracle compares its rows at every position."""
        return self._oracle is not None

    @property
    def is_live(self) -> bool:
        return self._is_live

    @is_live.setter
    def is_live(self, is_live: bool) -> None:
        self.doubts += self._is_live and not is_live
        self._is_live = is_live

    @property
    def state(self) -> State:
        feed = self.replica.topic.partition(".")[0]
        return {key: values(feed, row) for key, (_, row) in self.replica.rows.items()}

    def recent(self) -> str:
        """Return what it has received lately, for a report."""
        now = time.monotonic()
        return "; ".join(f"{now - at:.1f} s ago {text}" for at, text in self._received)

    async def stop(self) -> None:
        if self._task.done():
            self._task.result()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        for socket in self._abandoned:
            socket.transport.abort()

    # ------------------------------------------------------------ faults

    def drop(self) -> None:
        """Abort the connection without a close frame."""
        if self._socket is not None:
            self._socket.transport.abort()

    def leave_half_open(self) -> None:
        """Stop reading from this connection and never close it, as when a network disappears."""
        if self._socket is not None:
            self._socket.transport.pause_reading()
            self._abandoned.append(self._socket)

    async def freeze(self, seconds: float) -> None:
        """Read nothing for a while."""
        socket = self._socket
        if socket is not None:
            socket.transport.pause_reading()
            await asyncio.sleep(seconds)
            socket.transport.resume_reading()

    # ------------------------------------------------------------ following

    async def _follow(self) -> None:
        while True:
            with contextlib.suppress(OSError, TimeoutError, websockets.WebSocketException):
                await self._view(random.choice(self._addresses()))
            await asyncio.sleep(random.random() * 0.5)

    async def _view(self, address: str) -> None:
        socket = await connect(
            address, subprotocols=[Subprotocol("realtime.v1.json")], compression=None, open_timeout=5, close_timeout=1,
            ping_interval=None,
        )  # fmt: skip
        self._socket = socket
        self.connections += 1
        self.replica.behind_seconds = 0.0
        try:
            await socket.send(self.replica.subscription())
            while True:
                async with asyncio.timeout(self._silence):
                    text = await socket.recv()
                await self._receive(socket, str(text))
        finally:
            self._socket = None
            self.is_live = False
            if socket not in self._abandoned:
                socket.transport.abort()

    async def _receive(self, socket: ClientConnection, text: str) -> None:
        self._received.append((time.monotonic(), text[:MAX_REPORTED]))
        message = decode_server(text)
        before = self.replica.position
        must_resume = self.replica.receive(message)
        after = self.replica.position
        self.is_live = not must_resume and self._is_vouched_for(message)
        if after is not None and after is not before:
            if self._oracle is not None:
                self._record(self._oracle, before, after)
            self._on_change(self)
        if isinstance(message, Error) and message.topic == self.replica.topic:
            await asyncio.sleep(0.3)  # the topic cannot be read now: subscribe again, as a page does
            must_resume = True
        if must_resume:
            await socket.send(self.replica.subscription())

    def _is_vouched_for(self, message: ServerMessage) -> bool:
        """Return whether the rows are current, as far as the client can tell after a message."""
        topic = self.replica.topic
        if self.replica.position is None or self.replica.behind_seconds:
            return False
        match message:
            case Snapshot(topic=about, more=more) if about == topic:
                return not more
            case Changes(topic=about) if about == topic:
                return True
            case Heartbeat():
                return topic in message.positions
            case Error(topic=about) if about == topic:
                return False
        return self.is_live

    def _record(self, oracle: Oracle, before: Position | None, after: Position) -> None:
        topic = self.replica.topic
        if before is not None and before.epoch == after.epoch and after.offset < before.offset:
            oracle.record_backwards(topic, before, after)
        oracle.record(topic, after, self.replica.rows)
