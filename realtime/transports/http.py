"""HTTP for clients without a WebSocket: what an ASGI scope asks for, and how it is answered or refused.

Plain ASGI, not Django views: no middleware, no thread per request, the same door and the same rights as a socket.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import ceil
from typing import Any
from urllib.parse import parse_qs

from msgspec import UNSET, UnsetType, json

from ..access import origins as auth
from ..access.limits import retry_after_seconds
from ..engine.codes import Code
from ..engine.errors import BadMessage, RealtimeError
from ..engine.messages import Error, Form, Format
from ..runtime.client_log import SORRY, client_of, log_failure, one_line
from ..runtime.refusals import Refused

logger = logging.getLogger("realtime.connection")

Scope = dict[str, Any]

SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
"""Data, never a page: it runs nothing, stands in no frame, and is no part of another site's page."""

JSON_HEADERS = [
    (b"content-type", b"application/json"),
    (b"cache-control", b"private, no-cache"),
    (b"vary", b"cookie"),
    *SECURITY_HEADERS,
]


@contextmanager
def refusing(what: str, topic: str | UnsetType = UNSET) -> Iterator[None]:
    """Refuse a request for whatever goes wrong inside; ``what`` failed is for the log alone."""
    try:
        yield
    except Refused:
        raise
    except RealtimeError as error:
        raise Refused([Error(error.code, str(error), topic)]) from error
    except Exception as error:
        log_failure(_log, what, error)
        raise Refused([Error(Code.INTERNAL, SORRY, topic)]) from error


def _log(level: int, words: str, *values: object) -> None:
    logger.log(level, words, *map(one_line, values))


def enter(scope: Scope, method: str) -> None:
    """Let a request in that has this method and comes from a page of ours, or from no page.

    Raises: Refused. Costs no database query.
    """
    why = auth.refusal(scope)
    if why:
        raise Refused([Error(Code.FORBIDDEN, why)])
    if scope["method"] != method:
        raise Refused([Error(Code.BAD_MESSAGE, f"use {method}")], 405)


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


def retry_header(status: int) -> list[tuple[bytes, bytes]]:
    """Return when to come back, for an answer that says so."""
    return [(b"retry-after", str(ceil(retry_after_seconds())).encode())] if status in (429, 503) else []


async def refuse(scope: Scope, send, refused: Refused) -> None:
    """Answer with what is wrong, and note it in one line."""
    client = client_of(scope)
    why, path = one_line(str(refused)[:500]), one_line(scope["path"][:200])
    logger.warning("refused %s, %s %s: %s", client, scope["method"], path, why)
    headers = retry_header(refused.status)
    if refused.status == 413:
        headers.append((b"connection", b"close"))  # what is left of the body is not read
    await respond(send, refused.status, {"errors": refused.errors}, headers)
