"""The follower: keeps the rows of one topic through any number of connections, and yields what changes.

It runs in the task that asks for the next change: a program that takes its time is a slow client, not a growing queue.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from inspect import isawaitable
from typing import Any, Literal, Self
from urllib.error import HTTPError

import msgspec
from msgspec import UNSET

try:
    import websockets
    from websockets.asyncio.client import ClientConnection, connect
    from websockets.typing import Origin, Subprotocol
except ImportError as error:
    raise ImportError(
        'realtime.client needs the package websockets: pip install "django-tidemark[client]"'
    ) from error

from ..engine import messages
from ..engine.messages import Ack, ClientMessage, Heartbeat, ServerMessage, decode_server
from .addresses import origin_of, socket_address
from .errors import Refused, is_final
from .replica import Change, Format, Replica

logger = logging.getLogger("realtime.client")

Status = Literal["connecting", "live", "stale", "closed"]
"""``stale``: connected, but the server does not vouch for the rows, or has not answered yet."""
Headers = Mapping[str, str]

BASE_SECONDS, MAX_SECONDS = 0.5, 20.0
"""The longest wait before the first attempt to connect again, and before any; docs/protocol.md, "Reconnecting"."""
OPEN_SECONDS = 15.0
"""How long a handshake may take, and the first message after it."""
CLOSE_SECONDS = 2.0
CORRECTION_SECONDS, MAX_CORRECTION_SECONDS = 10.0, 300.0
"""The shortest time between two snapshots that wrong digests cause; it doubles with each that did not help."""
TOO_MANY_REQUESTS = 429
REQUEST_TIMEOUT = 408


def follow(
    url: str,
    topic: str,
    *,
    format: Format = "rows",
    headers: Headers | Callable[[], Headers | Awaitable[Headers]] | None = None,
    cookies: Mapping[str, str] | None = None,
    ticket: Callable[[], str | Awaitable[str]] | None = None,
    origin: str | None = None,
    random: Callable[[], float] = random.random,
    **options: Any,
) -> "Follower":
    """Follow a topic; iterate over what is returned for its changes, by ``async for`` or by ``for``.

    ``url`` is the address of the site's root, or of its WebSocket. ``headers`` are those of each handshake, or a
    function that returns them. ``cookies`` are those of a signed-in page; they count only beside an ``Origin``, which
    is that of ``url`` by default. ``ticket`` is called before each handshake (``realtime.client.tickets`` makes such a
    function). Further options are those of ``connect`` in websockets, ``ssl`` for example.

    The first changes are the rows that there are. Iterating ends only by ``break``, or with an error; a lost connection
    is made again, and continues where it was.

    Raises: ValueError, for another kind of address; when it is iterated, Refused.
    """
    return Follower(
        url, topic, format=format, headers=headers, cookies=cookies, ticket=ticket, origin=origin, random=random,
        **options,
    )  # fmt: skip


class Follower:
    """The rows of one topic as of ``position``, kept current while it is iterated; ``follow`` makes it."""

    def __init__(
        self,
        url: str,
        topic: str,
        *,
        format: Format,
        headers: Headers | Callable[[], Headers | Awaitable[Headers]] | None,
        cookies: Mapping[str, str] | None,
        ticket: Callable[[], str | Awaitable[str]] | None,
        origin: str | None,
        random: Callable[[], float],
        **options: Any,
    ) -> None:
        self.url, self.topic = socket_address(url), topic
        self._headers, self._ticket, self._options = headers, ticket, options
        self._cookies = "; ".join(f"{name}={value}" for name, value in (cookies or {}).items())
        self._origin = origin or (origin_of(url) if cookies else None)
        self._random = random
        self._replica = Replica(topic, format)
        self._changes: deque[Change] = deque()
        self._socket: ClientConnection | None = None
        self._received = self._unacknowledged = 0
        self._welcome: messages.Welcome | None = None
        self._bye: messages.Bye | None = None
        self._attempt = -1  # how many attempts in a row have failed; negative before the first
        self._unnamed = 0  # how many heartbeats in a row did not name the topic
        self._correct_at, self._correction_seconds = 0.0, CORRECTION_SECONDS
        self.is_closed = False
        self.trouble = ""
        """Why there is no connection, in a few words."""

    # ------------------------------------------------------------ what there is

    @property
    def rows(self) -> Mapping[str, Any]:
        """The rows by key, in the topic's order; empty before the first snapshot."""
        return self._replica.rows

    @property
    def position(self) -> str | None:
        """The position of the rows; None before the first snapshot."""
        return None if self._replica.position is None else str(self._replica.position)

    @property
    def corrections(self) -> int:
        """How often the rows were not those of the server, and were replaced."""
        return self._replica.corrections

    @property
    def status(self) -> Status:
        if self.is_closed:
            return "closed"
        if self._socket is None:
            return "connecting"
        return "live" if self._replica.is_vouched_for else "stale"

    # ------------------------------------------------------------ iterating

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        while not self._changes:
            if self.is_closed:
                raise StopAsyncIteration
            await self.step()
        return self._changes.popleft()

    def take(self) -> list[Change]:
        """Return the changes that have been received and not yet been yielded: the rest of the same message."""
        taken = list(self._changes)
        self._changes.clear()
        return taken

    def __iter__(self) -> Iterator[Change]:
        """Yield the changes; for programs without an event loop."""
        with asyncio.Runner() as runner:
            try:
                while not self.is_closed:
                    yield runner.run(self.__anext__())
            finally:
                runner.run(self.aclose())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the connection; iterating ends."""
        self.is_closed = True
        await self._disconnect()

    async def step(self) -> None:
        """Do one thing: connect, or receive one message. For programs that show ``status``, which iterating hides.

        Raises: Refused.
        """
        if self._socket is None:
            await self._connect()
            return
        silence = OPEN_SECONDS if self._welcome is None else 2 * self._welcome.heartbeat_seconds
        try:
            async with asyncio.timeout(silence):
                encoded = await self._socket.recv()
        except TimeoutError:
            await self._lose(f"no message for {silence:g} s")
        except websockets.ConnectionClosed as closed:
            await self._lose(_words(closed), closed)
        else:
            try:
                await self._handle(encoded)
            except websockets.ConnectionClosed as closed:
                await self._lose(_words(closed), closed)

    # ------------------------------------------------------------ connections

    async def _connect(self) -> None:
        await asyncio.sleep(self._pause())
        self._attempt += 1
        self._received = self._unacknowledged = self._unnamed = 0
        self._welcome = self._bye = None
        try:
            ticket = await _given(self._ticket) or ""
            headers = dict(await _given(self._headers) or {})
            if self._cookies:
                headers["Cookie"] = self._cookies
            socket = await connect(
                socket_address(self.url, ticket),
                additional_headers=headers,
                origin=Origin(self._origin) if self._origin else None,
                subprotocols=[Subprotocol("realtime.v1.json")],
                max_size=None,
                **{"open_timeout": OPEN_SECONDS, "close_timeout": CLOSE_SECONDS, **self._options},
            )
        except HTTPError as error:  # of a ticket
            self._check_status(error.code, error.reason)
            self.trouble = f"no ticket: {error}"
        except websockets.InvalidStatus as error:
            self._check_status(error.response.status_code, error.response.reason_phrase)
            self.trouble = f"refused with {error.response.status_code}"
        except (OSError, TimeoutError, websockets.WebSocketException) as error:
            self.trouble = str(error) or type(error).__name__
        else:
            try:
                await socket.send(messages.encode(self._replica.subscription()))
            except websockets.ConnectionClosed as closed:
                self._socket = socket
                await self._lose(_words(closed), closed)
            except BaseException:
                await socket.close()
                raise
            else:
                self._socket, self.trouble = socket, ""
                return
        logger.info("%s: not connected: %s", self.topic, self.trouble)

    def _pause(self) -> float:
        """Return how long to wait before connecting: not before the first time, then as long as a bye has said."""
        if self._attempt < 0:
            return 0.0
        if self._bye is not None and not isinstance(self._bye.retry_after_seconds, msgspec.UnsetType):
            return float(self._bye.retry_after_seconds)
        longest: float = min(MAX_SECONDS, BASE_SECONDS * 2.0 ** min(self._attempt, 10))
        return self._random() * longest

    def _check_status(self, status: int, reason: str) -> None:
        if 400 <= status < 500 and status not in (TOO_MANY_REQUESTS, REQUEST_TIMEOUT):
            self.is_closed = True
            raise Refused(status, reason, self.topic)

    async def _lose(self, why: str, closed: websockets.ConnectionClosed | None = None) -> None:
        """End the connection; raise what a final code says.

        Raises: Refused.
        """
        code = closed.rcvd.code if closed is not None and closed.rcvd is not None else 1006
        reason = closed.rcvd.reason if closed is not None and closed.rcvd is not None else ""
        if self._bye is not None:  # it stands even if the connection then ended with another code
            code, reason = self._bye.code, self._bye.reason
        await self._disconnect()
        self.trouble = reason or why
        if is_final(code):
            self.is_closed = True
            raise Refused(code, reason, self.topic)
        logger.info("%s: connection lost: %s", self.topic, self.trouble)

    async def _disconnect(self) -> None:
        socket, self._socket = self._socket, None
        self._replica.is_vouched_for = False
        if socket is not None:
            with contextlib.suppress(Exception):
                await socket.close()

    # ------------------------------------------------------------ messages

    async def _handle(self, encoded: str | bytes) -> None:
        self._received += 1
        self._unacknowledged += len(encoded)
        try:
            message = decode_server(encoded)
        except msgspec.MsgspecError as error:  # a newer server may have types that this client does not know
            logger.debug("%s: message not understood: %s", self.topic, error)
            return
        self._changes.extend(self._replica.receive(message))
        self._note(message)
        if isinstance(message, Heartbeat) or self._is_to_acknowledge:
            self._unacknowledged = 0
            await self._send(Ack(self._received))
        if self._replica.must_subscribe and self._may_subscribe():
            await self._send(self._replica.subscription())

    def _note(self, message: ServerMessage) -> None:
        """Note what a message says about the connection.

        Raises: Refused.
        """
        match message:
            case messages.Welcome():
                self._welcome = message
            case messages.Bye():
                self._bye = message
            case Heartbeat():
                self._attempt = 0
                if self._replica.is_vouched_for:
                    self._correction_seconds = CORRECTION_SECONDS
                self._unnamed = 0 if self.topic in message.positions else self._unnamed + 1
                if self._unnamed >= 2:  # the server may have ended the subscription
                    self._unnamed, self._replica.must_subscribe = 0, True
            case messages.Error(topic=topic) if topic in (UNSET, self.topic) and is_final(message.code):
                self.is_closed = True
                raise Refused(message.code, message.message, self.topic)
            case messages.Error():
                self.trouble = message.message
            case messages.Snapshot() | messages.Changes():
                self.trouble = ""

    @property
    def _is_to_acknowledge(self) -> bool:
        return self._welcome is not None and self._unacknowledged >= self._welcome.acknowledge_bytes

    def _may_subscribe(self) -> bool:
        """Return whether to subscribe now: where the digest is wrong, only from time to time."""
        if not self._replica.must_restart:
            return True
        now = time.monotonic()
        if now < self._correct_at:
            return False
        self._correct_at = now + self._correction_seconds
        self._correction_seconds = min(MAX_CORRECTION_SECONDS, 2 * self._correction_seconds)
        logger.warning("%s: the rows differ from the server's, and are read again", self.topic)
        return True

    async def _send(self, message: ClientMessage) -> None:
        assert self._socket is not None
        await self._socket.send(messages.encode(message))


async def _given(source: Any) -> Any:
    """Return a value, or what the function returns that is given in its place, also an asynchronous one."""
    value = source() if callable(source) else source
    return await value if isawaitable(value) else value


def _words(closed: websockets.ConnectionClosed) -> str:
    return str(closed) or "connection lost"
