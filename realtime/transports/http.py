"""HTTP for clients without a WebSocket: how requests are accepted, refused and answered.

Plain ASGI, not Django views: no middleware and no thread for each request; the same checks and rights as a WebSocket.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial, wraps
from math import ceil
from typing import Any

from msgspec import UNSET, UnsetType, json

from ..access import origins
from ..access.budgets import Overdrawn
from ..access.handshake import Handshake
from ..access.limits import TooMuch, retry_after_seconds
from ..access.visitors import ANONYMOUS
from ..engine.codes import Code
from ..engine.errors import BadMessage, RealtimeError
from ..engine.messages import Error
from ..runtime import metrics
from ..runtime.asgi_types import Application, Receive, Scope, Send
from ..runtime.client_log import SERVER_FAILED, ClientLog
from ..runtime.cpu_time import measured
from ..runtime.refusals import Refused, status_during
from ..service import get_service

SERVER_SECONDS = 0.0005
"""CPU time that a request costs besides our code's: the server reads, parses and writes it."""
HOLD_SECONDS = 1.0
"""How long a refusal is delayed for an address over its share."""

Headers = Sequence[tuple[bytes, bytes]]

SECURITY_HEADERS: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
"""Headers for answers that are not pages: no script runs, no frame shows them, no page of another site loads them."""

JSON_HEADERS: Headers = [
    (b"content-type", b"application/json"),
    (b"cache-control", b"private, no-cache"),
    (b"vary", b"cookie"),
    *SECURITY_HEADERS,
]


Answering = Callable[[Handshake, Receive, Send], Coroutine[Any, Any, None]]


def endpoint(method: str) -> Callable[[Answering], Application]:
    """Make an ASGI application of a function that answers requests of one method.

    The function is called with the handshake of a request that ``origins`` accepts. If it raises Refused, which it may
    do until it begins to answer, the answer is an error.
    """

    def decorate(answer: Answering) -> Application:
        @wraps(answer)
        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            handshake = Handshake.from_scope(scope)
            try:
                _check(handshake, method)
                await _within_budget(handshake.address, answer(handshake, receive, send))
            except Refused as refused:
                await refuse(handshake, send, refused)

        return application

    return decorate


def _check(handshake: Handshake, method: str) -> None:
    """Check host, scheme, origin and method, without a database query.

    Raises: Refused.
    """
    why = origins.refusal(handshake)
    if why:
        raise Refused([Error(Code.FORBIDDEN, why)])
    if handshake.method != method:
        raise Refused([Error(Code.BAD_MESSAGE, f"use {method}")], 405)
    if method == "POST" and handshake.origin is None and handshake.header("cookie"):
        # A form on a page of another site may have sent it.
        raise Refused([Error(Code.FORBIDDEN, "a POST request with cookies has to name its Origin")])


async def _within_budget(address: str | None, answering: Coroutine[Any, Any, None]) -> None:
    """Answer a request; its CPU time counts for the share of the client's address.

    Raises: Refused, if the share is used up; what answering raises.
    """
    processing = get_service().processing
    seconds = processing.seconds_until(address, 0)
    if seconds > 0:
        answering.close()
        error = Overdrawn(seconds)
        await hold_back(address)
        raise Refused([Error(error.code, str(error))])
    processing.spend(address, SERVER_SECONDS)
    await measured(answering, partial(processing.spend, address))


async def hold_back(address: str | None) -> None:
    """Wait before a refusal, if the address has a place for the wait.

    A refused request costs the server as much as an answered one. So the connections of an address over its share must
    not be ready for the next request at once.
    """
    with suppress(TooMuch), get_service().places.enter(address, ANONYMOUS):
        await asyncio.sleep(HOLD_SECONDS)


@contextmanager
def refusing(what: str, log: ClientLog, topic: str | UnsetType = UNSET) -> Iterator[None]:
    """Refuse a request if the block raises any error; ``what`` names the block in the log if the server has failed."""
    try:
        yield
    except Refused:
        raise
    except RealtimeError as error:
        raise Refused([Error(error.code, str(error), topic)], status_during(error)) from error
    except Exception as error:
        log.failure(what, error)
        raise Refused(
            [Error(Code.INTERNAL, SERVER_FAILED, topic)], status_during(error), is_logged=True
        ) from error


async def read_body(receive: Receive, limit: int) -> bytes:
    """Return a request's body.

    Raises: Refused, if it is longer than ``limit`` bytes; BadMessage, if the client leaves before its end.
    """
    body = b""
    while True:
        event = await receive()
        if event["type"] != "http.request":
            raise BadMessage("the client left before its request was complete")
        part: bytes = event.get("body", b"")
        body += part
        if len(body) > limit:
            raise Refused([Error(Code.BAD_MESSAGE, f"a request may be {limit} bytes long")])
        if not event.get("more_body", False):
            return body


async def until_left(receive: Receive) -> None:
    """Wait until the client has left, or the answer is complete."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def respond(send: Send, status: int, content: object, headers: Headers = ()) -> None:
    """Answer with JSON; without a body if ``content`` is None."""
    encoded = b"" if content is None else json.encode(content)
    length = [] if content is None else [(b"content-length", str(len(encoded)).encode())]
    await send(
        {"type": "http.response.start", "status": status, "headers": [*JSON_HEADERS, *length, *headers]}
    )
    await send({"type": "http.response.body", "body": encoded})


def retry_header(status: int) -> Headers:
    """Return the header with the time until the client may try again, for a status that means "later"."""
    return [(b"retry-after", str(ceil(retry_after_seconds())).encode())] if status in (429, 503) else []


async def refuse(handshake: Handshake, send: Send, refused: Refused) -> None:
    """Answer with the errors, and log one line unless the log has it."""
    log = ClientLog(handshake.client)
    for error in refused.errors:
        metrics.refusals.labels(int(error.code)).inc()
    if not refused.is_logged:
        log.warning("refused: %s %s: %s", handshake.method, handshake.path[:200], str(refused)[:500])
    headers = list(retry_header(refused.status))
    if refused.status == 413:
        headers.append((b"connection", b"close"))  # the rest of the body is not read
    if refused.status == 426:
        headers += [(b"upgrade", b"websocket"), (b"connection", b"upgrade")]
    await respond(send, refused.status, {"errors": refused.errors}, headers)
