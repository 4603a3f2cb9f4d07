"""Viewers: clients that reconnect to any server, resume from their position, and have every message checked."""

import asyncio
import contextlib
import random
from collections.abc import Callable

import websockets
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from realtime.engine.messages import Error, decode_server
from tests.faults.oracle import Oracle, State, values
from tests.support.replica import Replica


class Viewer:
    """Follows a topic as a page does: after ``silence`` seconds without a message it connects to another server."""

    def __init__(
        self, addresses: Callable[[], list[str]], topic: str, oracle: Oracle, silence: float
    ) -> None:
        self.replica = Replica(topic)
        self.connections = 0
        self._addresses, self._oracle, self._silence = addresses, oracle, silence
        self._socket: ClientConnection | None = None
        self._abandoned: list[ClientConnection] = []
        self._task = asyncio.create_task(self._follow())

    @property
    def state(self) -> State:
        feed = self.replica.topic.partition(".")[0]
        return {key: values(feed, row) for key, (_, row) in self.replica.rows.items()}

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
        try:
            await socket.send(self.replica.subscription())
            while True:
                async with asyncio.timeout(self._silence):
                    text = await socket.recv()
                await self._receive(socket, str(text))
        finally:
            self._socket = None
            if socket not in self._abandoned:
                socket.transport.abort()

    async def _receive(self, socket: ClientConnection, text: str) -> None:
        message = decode_server(text)
        before = self.replica.position
        must_resume = self.replica.receive(message)
        after = self.replica.position
        if after is not None:
            if before is not None and before.epoch == after.epoch and after.offset < before.offset:
                self._oracle.record_backwards(self.replica.topic, before, after)
            if after is not before:
                self._oracle.record(self.replica.topic, after, self.replica.rows)
        if isinstance(message, Error) and message.topic == self.replica.topic:
            await asyncio.sleep(0.3)  # the topic cannot be read now: subscribe again, as a page does
            must_resume = True
        if must_resume:
            await socket.send(self.replica.subscription())
