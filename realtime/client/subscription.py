"""A subscription to one topic through any number of connections; subclasses define the items that it yields.

It runs in the tasks that ask for the next item: a program that takes its time is a slow client, not a growing queue.
"""

import asyncio
import contextlib
import itertools
import logging
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from inspect import isawaitable
from typing import Any, Generic, Literal, Self, TypeVar
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
from ..engine.messages import Ack, ClientMessage, Heartbeat, ReplyError, ServerMessage, decode_server
from .addresses import origin_of, socket_address
from .errors import NO_ANSWER, NotSent, Refused, is_final
from .replica import Replica

logger = logging.getLogger("realtime.client")

Status = Literal["connecting", "live", "stale", "closed"]
"""``stale``: connected, but the server does not vouch for the rows, or has not answered yet."""
Headers = Mapping[str, str]
Item = TypeVar("Item")
T = TypeVar("T")

BASE_SECONDS, MAX_SECONDS = 0.5, 20.0
"""The longest wait before the first attempt to connect again, and before any; docs/protocol.md, "Reconnecting"."""
OPEN_SECONDS = 15.0
"""How long a handshake may take, and the first message after it."""
CLOSE_SECONDS = 2.0
CORRECTION_SECONDS, MAX_CORRECTION_SECONDS = 10.0, 300.0
"""The shortest time between two snapshots that wrong digests cause; it doubles with each that did not help."""
TOO_MANY_REQUESTS = 429
REQUEST_TIMEOUT = 408


class Subscription(ABC, Generic[Item]):
    """A subscription to one topic, which is current while it is iterated, by ``async for`` or by ``for``."""

    def __init__(
        self,
        url: str,
        topic: str,
        *,
        format: messages.Format,
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
        self._items: deque[Item] = deque()
        self._socket: ClientConnection | None = None
        self._turn = asyncio.Lock()  # held by the one task that receives, which may be one that broadcasts
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[ReplyError | None]] = {}  # to broadcasts
        self._runner: asyncio.Runner | None = None  # of programs without an event loop
        self._received = self._unacknowledged = 0
        self._welcome: messages.Welcome | None = None
        self._bye: messages.Bye | None = None
        self._attempt = -1  # how many attempts in a row have failed; negative before the first
        self._unnamed = 0  # how many heartbeats in a row did not name the topic
        self._correct_at, self._correction_seconds = 0.0, CORRECTION_SECONDS
        self.is_closed = False
        self._refusal: tuple[int, str] | None = None  # code and reason; another task may have received it
        self.trouble = ""
        """The reason why there is no connection."""

    # ------------------------------------------------------------ state

    @property
    def position(self) -> str | None:
        """The position of the rows; None before the first snapshot."""
        return None if self._replica.position is None else str(self._replica.position)

    @property
    def status(self) -> Status:
        if self.is_closed:
            return "closed"
        if self._socket is None:
            return "connecting"
        return "live" if self._replica.is_vouched_for else "stale"

    # ------------------------------------------------------------ iterating

    @abstractmethod
    def _receive(self, message: ServerMessage) -> Iterable[Item]:
        """Return the items for the program that follow from a message of the server."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        try:
            await self._until(lambda: bool(self._items))
        except Refused:
            self._refusal = None
            raise
        if not self._items:
            refusal, self._refusal = self._refusal, None
            raise StopAsyncIteration if refusal is None else Refused(*refusal, self.topic)
        return self._items.popleft()

    def take(self) -> list[Item]:
        """Return items that were received and not yet yielded: the rest of the same message."""
        taken = list(self._items)
        self._items.clear()
        return taken

    def __iter__(self) -> Iterator[Item]:
        """Yield the same; for programs without an event loop."""
        with self if self._runner is None else contextlib.nullcontext():
            while not self.is_closed:
                yield self._run(self.__anext__())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    def __enter__(self) -> Self:
        self._runner = asyncio.Runner()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    async def aclose(self) -> None:
        """End the connection; iterating ends."""
        self.is_closed = True
        await self._disconnect()

    def close(self) -> None:
        """End the connection; for programs without an event loop."""
        if self._runner is not None:
            self._run(self.aclose())
            self._runner.close()
            self._runner = None

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        if self._runner is None:
            coroutine.close()
            raise RuntimeError("there is no connection: use it in a `with` block, or in its own `for` loop")
        return self._runner.run(coroutine)

    async def _until(self, is_done: Callable[[], bool]) -> None:
        """Take steps until something is done or the subscription is closed; beside other tasks that do the same.

        Raises: Refused.
        """
        while not is_done() and not self.is_closed:
            async with self._turn:
                if not is_done() and not self.is_closed:
                    await self._step()

    async def step(self) -> None:
        """Do one thing: connect, or receive one message. For programs that show ``status``, which iterating hides.

        Raises: Refused.
        """
        async with self._turn:
            await self._step()

    async def _step(self) -> None:
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

    # ------------------------------------------------------------ broadcasting

    async def abroadcast(self, event: str, payload: Any = None) -> None:
        """Send a message to the other subscribers of the topic; return when the server has sent it on.

        ``payload`` is a value that JSON has, or bytes. Like iterating, it waits for a connection for ever.

        Raises: NotSent; Refused; ValueError, for a message that is too long or a payload that JSON cannot express.
        """
        await self._until(lambda: self._socket is not None and self._welcome is not None)
        if self.is_closed or self._socket is None or self._welcome is None:
            raise NotSent(event, self.topic, NO_ANSWER, "the subscription is closed")
        number = next(self._numbers)
        encoded = _encoded(self._welcome, messages.Broadcast(self.topic, event, id=number), payload)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        try:
            with contextlib.suppress(websockets.ConnectionClosed):  # the next step notices it
                await self._socket.send(encoded)
            async with asyncio.timeout(OPEN_SECONDS):
                await self._until(answer.done)
        except TimeoutError:
            raise NotSent(event, self.topic, NO_ANSWER, f"no answer within {OPEN_SECONDS:g} s") from None
        finally:
            del self._answers[number]
        # Another task may have received the message that ends the subscription.
        refusal = answer.result() if answer.done() else ReplyError(NO_ANSWER, "the subscription is closed")
        if refusal is not None:
            raise NotSent(event, self.topic, refusal.code, refusal.message)

    def broadcast(self, event: str, payload: Any = None) -> None:
        """Do the same as ``abroadcast``; for programs without an event loop, in a ``with`` block or a ``for`` loop."""
        self._run(self.abroadcast(event, payload))

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
            raise self._refused(status, reason)

    def _refused(self, code: int, reason: str) -> Refused:
        """Close the subscription, and return the refusal to raise; a task that iterates raises it, too."""
        self.is_closed, self._refusal = True, (code, reason)
        return Refused(code, reason, self.topic)

    async def _lose(self, why: str, closed: websockets.ConnectionClosed | None = None) -> None:
        """End the connection; raise the error of a final code.

        Raises: Refused.
        """
        code = closed.rcvd.code if closed is not None and closed.rcvd is not None else 1006
        reason = closed.rcvd.reason if closed is not None and closed.rcvd is not None else ""
        if self._bye is not None:  # it stands even if the connection then ended with another code
            code, reason = self._bye.code, self._bye.reason
        await self._disconnect()
        self.trouble = reason or why
        if is_final(code):
            raise self._refused(code, reason)
        logger.info("%s: connection lost: %s", self.topic, self.trouble)

    async def _disconnect(self) -> None:
        socket, self._socket = self._socket, None
        self._replica.is_vouched_for = False
        self._answer(
            self._answers, ReplyError(NO_ANSWER, "the connection ended before the server had answered")
        )
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
        self._items.extend(self._receive(message))
        self._note(message)
        if isinstance(message, Heartbeat) or self._is_to_acknowledge:
            self._unacknowledged = 0
            await self._send(Ack(self._received))
        if self._replica.must_subscribe and self._may_subscribe():
            await self._send(self._replica.subscription())

    def _note(self, message: ServerMessage) -> None:
        """Note the state of the connection that a message reports.

        Raises: Refused.
        """
        match message:
            case messages.Welcome():
                self._welcome = message
            case messages.Bye():
                self._bye = message
            case messages.Reply():
                self._answer([message.id], None if message.error is UNSET else message.error)
            case Heartbeat():
                self._attempt = 0
                if self._replica.is_vouched_for:
                    self._correction_seconds = CORRECTION_SECONDS
                self._unnamed = 0 if self.topic in message.positions else self._unnamed + 1
                if self._unnamed >= 2:  # the server may have ended the subscription
                    self._unnamed, self._replica.must_subscribe = 0, True
            case messages.Error(topic=topic) if topic in (UNSET, self.topic) and is_final(message.code):
                raise self._refused(message.code, message.message)
            case messages.Error():
                self.trouble = message.message
            case messages.Snapshot() | messages.Changes():
                self.trouble = ""

    def _answer(self, numbers: Iterable[int], refusal: ReplyError | None) -> None:
        for number in numbers:
            answer = self._answers.get(number)
            if answer is not None and not answer.done():
                answer.set_result(refusal)

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


def _encoded(welcome: messages.Welcome, message: messages.Broadcast, payload: Any) -> messages.Encoded:
    """Return a broadcast with its payload; raises ValueError if it cannot be encoded, or is too long for the server."""
    if isinstance(payload, bytes):
        content = message.data = payload
    else:
        try:
            content = message.payload = msgspec.Raw(msgspec.json.encode(payload))
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise ValueError(f"the payload is neither JSON values nor bytes: {error}") from error
    if len(content) > welcome.max_broadcast_bytes:
        raise ValueError(
            f"the payload has {len(content)} bytes; a broadcast may have at most {welcome.max_broadcast_bytes}"
        )
    encoded = messages.encode(message)
    if len(encoded) > welcome.max_message_bytes:
        raise ValueError(
            f"the message has {len(encoded)} bytes; one may have at most {welcome.max_message_bytes}"
        )
    return encoded


async def _given(source: Any) -> Any:
    """Return a value, or what the function returns that is given in its place, also an asynchronous one."""
    value = source() if callable(source) else source
    return await value if isawaitable(value) else value


def _words(closed: websockets.ConnectionClosed) -> str:
    return str(closed) or "connection lost"
