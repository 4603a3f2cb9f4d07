"""A WebSocket client that keeps a replica of one topic, for tests of real servers."""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

import websockets
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from realtime.engine.messages import Changes, Format, ServerMessage, Snapshot, decode_server
from tests.support.replica import Replica

M = TypeVar("M", bound=ServerMessage)


class Client:
    """Follows a topic through any number of connections.

    ``seen`` holds every message received, newest last; ``stale`` how long the topic was not followed, in seconds, for
    each time between two connections. Further options are those of ``websockets``' connect, for a server behind TLS or
    at another address.
    """

    def __init__(
        self,
        url: str,
        topic: str,
        format: Format = "rows",
        check: Callable[[Replica], None] | None = None,
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> None:
        self.url, self.headers, self.options = url, headers, options
        self.replica = Replica(topic, format)
        self.seen: list[ServerMessage] = []
        self.connections = 0
        self.stale: list[float] = []
        self._lost_at: float | None = None
        self._check = check
        self._news = asyncio.Condition()
        self._socket: ClientConnection | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Client":
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._task is not None
        if self._task.done():
            self._task.result()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def drop(self) -> None:
        """Abort the connection without a close frame; the client reconnects and resumes from its position."""
        if self._socket is not None:
            self._socket.transport.abort()

    async def until(self, condition: Callable[..., bool], seconds: float = 60) -> None:
        """Wait until a condition holds, evaluating it after each message."""
        async with asyncio.timeout(seconds), self._news:
            while not condition():
                if self._task is not None and self._task.done():
                    self._task.result()
                await self._news.wait()

    async def until_snapshot(self) -> None:
        """Wait until the replica has a position."""
        await self.until(lambda: self.replica.position is not None)

    async def until_row(self, key: str, words: str) -> None:
        """Wait until the row of a key contains the words."""
        await self.until(lambda: words in str(self.replica.rows.get(key)))

    async def until_message(self, kind: type[M]) -> M:
        """Return the latest message of a kind, waiting until there is one."""

        def received() -> list[M]:
            return [message for message in self.seen if isinstance(message, kind)]

        await self.until(lambda: bool(received()))
        return received()[-1]

    async def _follow(self) -> None:
        while True:
            with contextlib.suppress(OSError, websockets.WebSocketException):
                async with connect(
                    self.url,
                    subprotocols=[Subprotocol("realtime.v1.json")],
                    compression=None,
                    additional_headers=self.headers,
                    **self.options,
                ) as socket:
                    self._socket = socket
                    self.connections += 1
                    await socket.send(self.replica.subscription())
                    async for text in socket:
                        await self._receive(socket, str(text))
            if self._lost_at is None:
                self._lost_at = time.monotonic()
            await asyncio.sleep(random.random() * 0.2)

    async def _receive(self, socket: ClientConnection, text: str) -> None:
        message = decode_server(text)
        must_resume = self.replica.receive(message)
        if isinstance(message, Changes | Snapshot) and self._lost_at is not None:
            self.stale.append(time.monotonic() - self._lost_at)
            self._lost_at = None
        if self._check is not None and self.replica.position is not None:
            self._check(self.replica)
        async with self._news:
            self.seen.append(message)
            self._news.notify_all()
        if must_resume:
            await socket.send(self.replica.subscription())
