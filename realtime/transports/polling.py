"""Polling, ``GET /realtime/topics/<topic>/?since=…``: for networks in which no connection can stay open."""

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import msgspec

from ..access.handshake import Handshake
from ..access.limits import Place
from ..access.visitors import Visitor
from ..delivery.subscriber import ConnectionState
from ..engine.codes import Code
from ..engine.errors import Forbidden, Unreadable
from ..engine.messages import Broadcast, Encoded, Ephemeral, Error, ServerMessage, WireFormat, noticeable
from ..engine.position import Position
from ..engine.session import Ending
from ..engine.topic import Topic
from ..feeds import registry
from ..runtime.asgi_types import Receive, Send
from ..runtime.client_log import ClientLog
from ..runtime.refusals import Refused
from ..service import Service, get_service
from . import http, parameters

PIECE_CHARACTERS = 16 * 1024
"""How many characters of a message are encoded at once: slow clients then keep no encoded copy of all of it."""
MAX_BROADCASTS = 16
"""How many broadcasts an answer has at most; if there are more, it has the last ones."""
BROADCASTS_SECONDS = 1.0
"""How long a request waits at least before it is answered because of a broadcast."""


class _Poll:
    """One request as the hub's subscriber: it waits for the first change of its topic."""

    writer: asyncio.Task[None] | None = None

    def __init__(self, topic: str, visitor: Visitor, address: str | None) -> None:
        self.visitor, self.address = visitor, address
        self.topics = [topic]
        self._begun_at = time.monotonic()
        self.is_revoked = False
        self.ending: Ending | None = None
        self.is_notified = asyncio.Event()
        self.broadcasts: deque[Broadcast] = deque(maxlen=MAX_BROADCASTS)

    @property
    def state(self) -> ConnectionState:
        return ConnectionState("", "poll", time.monotonic() - self._begun_at, 0)

    def notify(self, topic: str) -> None:
        self.is_notified.set()

    def post(self, message: ServerMessage) -> None:
        """Drop a notice: they are for open connections."""

    def offer(self, message: Ephemeral) -> bool:
        """Keep a broadcast for the answer, which also has the viewers."""
        if isinstance(message, Broadcast):
            self.broadcasts.append(message)
            self.is_notified.set()
        return True

    def pulse(self) -> None:
        """Send no heartbeat: they are for open connections."""

    def revoke(self, topic: str) -> None:
        self.is_revoked = True
        self.is_notified.set()

    def end(self, ending: Ending) -> None:
        self.ending = ending
        self.is_notified.set()


@http.endpoint("GET")
async def poll(handshake: Handshake, receive: Receive, send: Send) -> None:
    """Answer with the changes of a topic after a position; wait for them if the request has ``wait``."""
    log = ClientLog(handshake.client)
    with http.refusing("poll", log):
        query = _Query.of(handshake)
        visitor, place = await get_service().admit(handshake)
    with place:
        await _answer(query, _Poll(query.topic, visitor, handshake.address), place, log, receive, send)


@dataclass(frozen=True, slots=True)
class _Query:
    """The parameters of a request; ``since`` and ``known`` (the ``If-None-Match``) are positions, empty for none."""

    topic: str
    wire_format: WireFormat
    seconds: float
    since: str
    known: str

    @classmethod
    def of(cls, handshake: Handshake) -> Self:
        """Raises: BadQuery."""
        given = handshake.parameters
        (wire_format,) = parameters.wire_formats(given)
        return cls(
            topic=handshake.url_kwargs["topic"],
            wire_format=wire_format,
            seconds=parameters.wait_seconds(given),
            since=parameters.last(given, "since"),
            known=(handshake.header("if-none-match") or "").removeprefix("W/").strip('"'),
        )


async def _answer(
    query: _Query, subscriber: _Poll, place: Place, log: ClientLog, receive: Receive, send: Send
) -> None:
    """Raises: Refused."""
    service = get_service()
    service.hub.connect(subscriber)  # from here on a revoked right ends the request
    left = asyncio.create_task(http.until_left(receive))
    try:
        with http.refusing("poll", log, query.topic):
            topic, since, known = await _subscribe(service, subscriber, place, query)
        await _wait(topic, known or since, query, subscriber, left)
        if left.done():
            return
        if subscriber.is_revoked:
            raise Refused([Error(Code.FORBIDDEN, str(Forbidden(query.topic)), query.topic)])
        byes = [ending.bye] if (ending := subscriber.ending) is not None and ending.reload else []
        behind_seconds = noticeable(service.hub.behind_seconds_of(query.topic))
        if (
            known is not None
            and behind_seconds is None
            and not subscriber.broadcasts
            and not byes
            and not topic.has_news(topic.cursor(known, query.wire_format))
        ):
            await http.respond(send, 304, None, [(b"etag", f'"{known}"'.encode())])
            return
        cursor = topic.cursor(since, query.wire_format)
        messages = topic.advance(cursor)
        ephemeral = [*filter(None, [service.hub.presence(query.topic)]), *subscriber.broadcasts, *byes]
        answer = {
            "position": str(topic.position_of(cursor)),
            "digest": topic.digest_at(cursor),
            "behind_seconds": behind_seconds,
            "ephemeral": ephemeral or None,
        }
        await _send(send, answer, messages)
    finally:
        left.cancel()
        service.hub.disconnect(subscriber, [query.topic])


async def _subscribe(
    service: Service, subscriber: _Poll, place: Place, query: _Query
) -> tuple[Topic, Position | None, Position | None]:
    """Return the topic, up to date, and ``since`` and ``known``; None for a position that the database has not reached.

    Raises: RealtimeError, and what reading rights and rows raises.
    """
    verdict = await service.rights.check(subscriber.visitor, query.topic)
    place.count_for("user", verdict.user)
    registry.check_format(query.topic, query.wire_format.format)
    parsed = [Position.parse(text) if text else None for text in (query.since, query.known)]
    since, known = [
        position if position is not None and await service.hub.has_reached(position.offset) else None
        for position in parsed
    ]
    topic = await service.hub.subscribe(query.topic, subscriber, query.wire_format.format)
    await service.hub.confirm(query.topic, subscriber, verdict)
    if not topic.is_readable:
        raise Unreadable(query.topic)
    return topic, since, known


async def _wait(
    topic: Topic, position: Position | None, query: _Query, subscriber: _Poll, left: asyncio.Task[None]
) -> None:
    """Wait until the topic has something beyond the position, the time is over, or the request ends.

    A notification alone is no reason to answer: reading a topic that this process did not hold causes one, too.
    """
    loop = asyncio.get_running_loop()
    begun = loop.time()
    ends = begun + query.seconds
    while not (subscriber.is_revoked or subscriber.ending or left.done()):
        subscriber.is_notified.clear()
        remaining = ends - loop.time()
        if subscriber.broadcasts:  # the client polls again at once; not for each of many broadcasts
            remaining = min(remaining, begun + BROADCASTS_SECONDS - loop.time())
        if remaining <= 0 or topic.has_news(topic.cursor(position, query.wire_format)):
            return
        notified = asyncio.create_task(subscriber.is_notified.wait())
        await asyncio.wait([notified, left], timeout=remaining, return_when=asyncio.FIRST_COMPLETED)
        notified.cancel()


async def _send(send: Send, answer: Mapping[str, object], messages: Sequence[Encoded]) -> None:
    """Answer with messages as they are encoded, after the other values; a long snapshot part by part."""
    headers = [*http.JSON_HEADERS, (b"etag", f'"{answer["position"]}"'.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    known = msgspec.json.encode({name: value for name, value in answer.items() if value is not None}).decode()
    text = f'{known[:-1]},"messages":['
    for message in messages:
        for start in range(0, len(message), PIECE_CHARACTERS):
            piece = str(message[start : start + PIECE_CHARACTERS])
            await send({"type": "http.response.body", "body": f"{text}{piece}".encode(), "more_body": True})
            text = ""
        text = ","
        await asyncio.sleep(0)  # a server may accept all of them without a turn of the loop for others
    await send({"type": "http.response.body", "body": f"{'' if messages else text}]}}".encode()})
