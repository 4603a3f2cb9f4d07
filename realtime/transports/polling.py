"""Polling, ``GET /realtime/topics/<topic>/?since=…``: where nothing that stays open gets through."""

import asyncio
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..access.limits import Place
from ..access.visitors import Visitor
from ..engine.codes import Code
from ..engine.errors import Forbidden
from ..engine.messages import Encoded, Error, Form, ServerMessage
from ..engine.position import Position
from ..engine.session import Ending
from ..engine.topic import Cursor, Topic
from ..runtime.refusals import Refused
from ..service import Service, get_service
from . import http as requests

logger = logging.getLogger("realtime.connection")

MAX_WAIT_SECONDS = 25.0


class Poll:
    """One request as the hub's subscriber: it waits for the first news of its topic."""

    writer: asyncio.Task[None] | None = None

    def __init__(self, topic: str, visitor: Visitor) -> None:
        self.visitor = visitor
        self.topics = [topic]
        self.is_revoked = False
        self.news = asyncio.Event()

    def notify(self, topic: str) -> None:
        self.news.set()

    def post(self, message: ServerMessage) -> None:
        """A notice: for those who listen."""

    def pulse(self) -> None:
        """A heartbeat: for those who stay."""

    def revoke(self, topic: str) -> None:
        self.is_revoked = True
        self.news.set()

    def end(self, ending: Ending) -> None:
        self.news.set()


async def poll(scope: dict[str, Any], receive, send) -> None:
    """Answer with what a topic has beyond a position; wait for it, if asked to."""
    try:
        requests.enter(scope, "GET")
        asked = _asked(scope)
        with requests.refusing("poll"):
            visitor, place = await get_service().admit(scope)
        with place:
            await _answer(asked, Poll(asked.topic, visitor), place, receive, send)
    except Refused as refused:
        await requests.refuse(scope, send, refused)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a request asks for; ``since`` and ``known`` (the ``If-None-Match``) are positions, empty for none."""

    topic: str
    form: Form
    seconds: float
    since: str
    known: str


def _asked(scope: dict[str, Any]) -> _Asked:
    """Raises: Refused."""
    parameters = requests.query(scope)
    (form,) = requests.forms(parameters)
    return _Asked(
        topic=scope["url_route"]["kwargs"]["topic"],
        form=form,
        seconds=_seconds(parameters.get("wait", ["0"])[-1]),
        since=parameters.get("since", [""])[-1],
        known=(requests.auth.header(scope, b"if-none-match") or "").removeprefix("W/").strip('"'),
    )


async def _answer(asked: _Asked, subscriber: Poll, place: Place, receive, send) -> None:
    """Raises: Refused."""
    service = get_service()
    service.hub.connect(subscriber)  # from here on its rights are looked after
    gone = asyncio.create_task(requests.until_gone(receive))
    try:
        topic, (holds, has_seen) = await _subscribe(service, subscriber, place, asked.since, asked.known)
        await _wait(topic, topic.cursor(has_seen or holds, asked.form), subscriber, asked.seconds, gone)
        if subscriber.is_revoked:
            raise Refused([Error(Code.FORBIDDEN, str(Forbidden(asked.topic)), asked.topic)])
        if has_seen is not None and not topic.advance(topic.cursor(has_seen, asked.form)):
            await requests.respond(send, 304, None, [(b"etag", f'"{has_seen}"'.encode())])
            return
        cursor = topic.cursor(holds, asked.form)
        messages = topic.advance(cursor)
        await _send(send, str(topic.position_of(cursor)), messages)
    finally:
        gone.cancel()
        service.hub.disconnect(subscriber, [asked.topic])


async def _subscribe(
    service: Service, subscriber: Poll, place: Place, *positions: str
) -> tuple[Topic, list[Position | None]]:
    """Return the topic, current, and the positions that the database has come to, None for others.

    Raises: Refused.
    """
    (name,) = subscriber.topics
    with requests.refusing("poll", name):
        place.take("user", await service.rights.check(subscriber.visitor, name))
        parsed = [Position.parse(position) if position else None for position in positions]
        reached = [
            position if position is not None and await service.hub.has_reached(position.offset) else None
            for position in parsed
        ]
        topic = await service.hub.subscribe(name, subscriber)
    return topic, reached


async def _wait(
    topic: Topic, cursor: Cursor, subscriber: Poll, seconds: float, gone: asyncio.Task[None]
) -> None:
    """Wait for news, but no longer than the client does."""
    if topic.advance(cursor) or not seconds:
        return
    news = asyncio.create_task(subscriber.news.wait())
    await asyncio.wait([news, gone], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    news.cancel()


async def _send(send, position: str, messages: Sequence[Encoded]) -> None:
    """Send messages as they are, a long snapshot part by part."""
    headers = [*requests.JSON_HEADERS, (b"etag", f'"{position}"'.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    text = f'{{"position":"{position}","messages":['
    for message in messages:
        await send({"type": "http.response.body", "body": f"{text}{message!s}".encode(), "more_body": True})
        text = ","
    await send({"type": "http.response.body", "body": f"{'' if messages else text}]}}".encode()})


def _seconds(text: str) -> float:
    """Return how long to wait. Raises: Refused."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if math.isnan(seconds):
        words = f"wait is a number of seconds up to {MAX_WAIT_SECONDS:g}, not {text[:40]!r}"
        raise Refused([Error(Code.BAD_MESSAGE, words)])
    return min(max(seconds, 0.0), MAX_WAIT_SECONDS)
