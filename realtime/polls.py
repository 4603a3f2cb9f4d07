"""Polling, ``GET /realtime/topics/<topic>/?since=…``, and calls by POST: where no socket gets through."""

import asyncio
import logging
import math
from collections.abc import Sequence
from typing import Any

import msgspec

from . import requests
from .calls import answer
from .conf import get_conf
from .engine.codes import Code
from .engine.errors import Forbidden, RealtimeError
from .engine.messages import Call, Encoded, Error, ServerMessage
from .engine.position import Position
from .engine.session import Ending
from .engine.topic import Cursor, Topic
from .logs import SORRY, log_failure, one_line
from .requests import Refused
from .service import Service, get_service

logger = logging.getLogger("realtime.connection")

MAX_WAIT_SECONDS = 25.0


class Poll:
    """One request as the hub's subscriber: it waits for the first news of its topic."""

    writer: asyncio.Task[None] | None = None

    def __init__(self, topic: str, session_key: str | None) -> None:
        self.session_key = session_key
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
    name = scope["url_route"]["kwargs"]["topic"]
    service = get_service()
    try:
        requests.enter(scope, "GET")
        parameters = requests.query(scope)
        (form,) = requests.forms(parameters)
        seconds = _seconds(parameters.get("wait", ["0"])[-1])
        since = parameters.get("since", [""])[-1]
        known = (requests.auth.header(scope, b"if-none-match") or "").removeprefix("W/").strip('"')
        subscriber = Poll(name, requests.session_key(scope))
        topic, (holds, has_seen) = await _subscribe(service, subscriber, since, known)
        gone = asyncio.create_task(requests.until_gone(receive))
        try:
            await _wait(topic, topic.cursor(has_seen or holds, form), subscriber, seconds, gone)
            if subscriber.is_revoked:
                raise Refused([Error(Code.FORBIDDEN, str(Forbidden(name)), name)])
            if has_seen is not None and not topic.advance(topic.cursor(has_seen, form)):
                await requests.respond(send, 304, None, [(b"etag", f'"{has_seen}"'.encode())])
                return
            cursor = topic.cursor(holds, form)
            messages = topic.advance(cursor)
            await _answer(send, str(topic.position_of(cursor)), messages)
        finally:
            gone.cancel()
            service.hub.disconnect(subscriber, [name])
    except Refused as refused:
        await requests.refuse(scope, send, refused)


async def _subscribe(
    service: Service, subscriber: Poll, *positions: str
) -> tuple[Topic, list[Position | None]]:
    """Return the topic, current, and the positions that the database has come to, None for others.

    Raises: Refused.
    """
    (name,) = subscriber.topics
    try:
        await service.rights.check(subscriber.session_key, name)
        parsed = [Position.parse(position) if position else None for position in positions]
        reached = [
            position if position is not None and await service.hub.has_reached(position.offset) else None
            for position in parsed
        ]
        topic = await service.hub.subscribe(name, subscriber)
    except RealtimeError as error:
        raise Refused([Error(error.code, str(error), name)]) from error
    except Exception as error:
        log_failure(_log, "poll", error)
        raise Refused([Error(Code.INTERNAL, SORRY, name)]) from error
    service.hub.connect(subscriber)  # from here on its rights are looked after
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


async def _answer(send, position: str, messages: Sequence[Encoded]) -> None:
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


def _log(level: int, words: str, *values: object) -> None:
    logger.log(level, f"poll: {words}", *map(one_line, values))


async def call(scope: dict[str, Any], receive, send) -> None:
    """Run an action and answer with its reply."""
    try:
        requests.enter(scope, "POST")
        if requests.auth.header(scope, b"origin") is None and requests.auth.header(scope, b"cookie"):
            raise Refused([Error(Code.FORBIDDEN, "a call with cookies has to say its Origin")])
        if not (requests.auth.header(scope, b"content-type") or "").startswith("application/json"):
            raise Refused([Error(Code.BAD_MESSAGE, "send JSON, as application/json")], 415)
        try:
            asked = _call_decoder.decode(await requests.body(receive, get_conf().max_message_bytes))
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise Refused([Error(Code.BAD_MESSAGE, str(error))]) from error
    except Refused as refused:
        await requests.refuse(scope, send, refused)
        return
    message = Call(0, asked.action, asked.args)
    reply = await answer(get_service(), requests.session_key(scope), message, _log)
    if isinstance(reply.error, msgspec.UnsetType):
        await requests.respond(send, 200, {"ok": reply.ok})
    else:
        await requests.respond(send, requests.status_of(reply.error.code), {"error": reply.error})


class _Call(msgspec.Struct):
    """A call without an id: the answer is the response."""

    action: str
    args: dict[str, Any] = {}


_call_decoder = msgspec.json.Decoder(_Call)
