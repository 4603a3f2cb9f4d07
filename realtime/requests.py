"""HTTP for clients without a WebSocket: what an ASGI scope asks for, and how it is answered or refused.

Plain ASGI, not Django views: no middleware, no thread per request, the same door and the same rights as a socket.
"""

import logging
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

from msgspec import json

from . import auth
from .engine.codes import Code
from .engine.errors import BadMessage, RealtimeError
from .engine.messages import Error, Form, Format
from .logs import one_line

logger = logging.getLogger("realtime.connection")

Scope = dict[str, Any]

JSON_HEADERS = [
    (b"content-type", b"application/json"),
    (b"cache-control", b"private, no-cache"),
    (b"vary", b"cookie"),
    (b"x-content-type-options", b"nosniff"),
]


class Refused(RealtimeError):
    """A request that is not let in, or not of this kind; ``errors`` are what the client is told."""

    def __init__(self, errors: Sequence[Error], status: int | None = None) -> None:
        super().__init__(errors, status)
        self.errors = errors
        self.status = status or status_of(errors[0].code)

    def __str__(self) -> str:
        return "; ".join(error.message for error in self.errors)


def status_of(code: int) -> int:
    """Return the HTTP status that says what a close code says: its last three digits where there is one."""
    return {4529: 429, 4512: 503, 4508: 503}.get(code, code - 4000)


def enter(scope: Scope, method: str) -> None:
    """Let a request in that has this method and comes from a page of ours, or from no page.

    Raises: Refused. Costs no database query.
    """
    why = ""
    if not auth.is_host_allowed(scope):
        why = f"host {auth.header(scope, b'host')!r} is not in ALLOWED_HOSTS"
    elif not auth.is_origin_allowed(scope):
        why = f"origin {auth.header(scope, b'origin')!r} is not ours; see CSRF_TRUSTED_ORIGINS"
    elif auth.header(scope, b"sec-fetch-site") in ("cross-site", "same-site"):
        why = "asked for by a page of another site"
    if why:
        raise Refused([Error(Code.FORBIDDEN, why)])
    if scope["method"] != method:
        raise Refused([Error(Code.BAD_MESSAGE, f"use {method}")], 405)


def session_key(scope: Scope) -> str | None:
    """Return the session that a request's cookies name; ``enter`` has seen that no foreign page makes it."""
    return auth.session_key(scope)


def query(scope: Scope) -> dict[str, list[str]]:
    """Return the parameters of the address.

    Raises: Refused, when they are no UTF-8 or too many.
    """
    try:
        text = scope["query_string"].decode("ascii")
        return parse_qs(text, keep_blank_values=True, errors="strict", max_num_fields=500)
    except (UnicodeError, ValueError) as error:
        raise Refused([Error(Code.BAD_MESSAGE, f"the address is not understood: {error}")]) from error


def forms(parameters: dict[str, list[str]], topics: int = 1) -> list[Form]:
    """Return how the rows of each topic are asked for: one ``format`` for all, or one for each in their order.

    Raises: Refused.
    """
    known: dict[str, Format] = {"rows": "rows", "html": "html"}
    names = parameters.get("format", ["rows"])
    strange = [name for name in names if name not in known]
    if strange:
        raise Refused([Error(Code.BAD_MESSAGE, f"format is rows or html, not {strange[0][:40]!r}")])
    if len(names) not in (1, topics):
        words = f"{len(names)} formats for {topics} topics: name one for all, or one for each"
        raise Refused([Error(Code.BAD_MESSAGE, words)])
    return [Form(known[name]) for name in (names if len(names) == topics else names * topics)]


async def body(receive, limit: int) -> bytes:
    """Return a request's body.

    Raises: Refused, when it is over ``limit`` bytes; BadMessage, when the client left in the middle.
    """
    read = b""
    while True:
        event = await receive()
        if event["type"] != "http.request":
            raise BadMessage("the client left before its request was whole")
        read += event.get("body", b"")
        if len(read) > limit:
            raise Refused([Error(Code.BAD_MESSAGE, f"a request may be {limit} bytes long")])
        if not event.get("more_body", False):
            return read


async def until_gone(receive) -> None:
    """Wait until the client has left, or the answer is complete."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def respond(send, status: int, content: Any, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
    """Answer with JSON; None as content: with no body."""
    encoded = b"" if content is None else json.encode(content)
    length = [] if content is None else [(b"content-length", str(len(encoded)).encode())]
    await send(
        {"type": "http.response.start", "status": status, "headers": [*JSON_HEADERS, *length, *headers]}
    )
    await send({"type": "http.response.body", "body": encoded})


async def refuse(scope: Scope, send, refused: Refused) -> None:
    """Answer with what is wrong, and note it in one line."""
    client = ":".join(map(str, scope.get("client") or ["?"]))
    why, path = one_line(str(refused)[:500]), one_line(scope["path"][:200])
    logger.warning("refused %s, %s %s: %s", client, scope["method"], path, why)
    # What is left of a body that is too long is not read.
    closing = [(b"connection", b"close")] if refused.status == 413 else []
    await respond(send, refused.status, {"errors": refused.errors}, closing)
