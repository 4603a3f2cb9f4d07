"""Pages: Django's own requests, a bounded number of which run at once, beside the engine.

Each runs in one of a few threads, so that a flood of requests uses up neither the event loop's time nor the database's
connections. Further requests wait for a turn, or are answered by a page that tries again.
"""

import asyncio
import random
import time
from collections import deque
from functools import cache
from urllib.parse import urlsplit

from asgiref.sync import ThreadSensitiveContext
from django.conf import settings
from django.urls import NoReverseMatch, get_script_prefix, reverse
from django.utils import translation
from django.utils.translation import gettext as _

from ..access.handshake import PROXY_HINT, Handshake
from ..access.limits import Place, TooMuch
from ..access.turns import NoTurn, Turn
from ..access.visitors import ANONYMOUS
from ..runtime import metrics
from ..runtime.asgi_types import Application, Event, Receive, Scope, Send
from ..runtime.client_log import ClientLog
from ..runtime.threads import RequestThread
from ..service import Service, get_service
from . import http

IDLE_SECONDS = 1.0
"""A request that has not used its thread for this time gives up its turn: its client reads slowly, or it only waits."""
BLOCK_HEADER = "realtime-block"
"""The header of a request by which a page fetches itself again, with the names of its live blocks."""
RETRY_SECONDS = (4, 9)
"""After how many seconds a refused client may try again: random, so that clients do not return together."""

_PAGE = """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
{refresh}<title>{title}</title>
</head>
<body>
<h1>{heading}</h1>
<p>{reason}</p>
<p>{advice}</p>
</body>
</html>
"""


class Pages:
    """Wraps Django's ASGI application; ``routing.django_pages`` routes it."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service, handshake = get_service(), Handshake.from_scope(scope)
        receive = await _with_body(receive)
        # Files and metrics do not wait for pages.
        turns = service.asset_turns if _is_asset(scope) else service.page_turns
        try:
            is_repeated = handshake.header(BLOCK_HEADER) is not None
            turn = await turns.take(handshake.address, handshake.path, is_repeated)
        except NoTurn as error:
            await http.hold_back(handshake.address)
            await _refuse(handshake, send, error)
            return
        request = _Request(service, handshake.address, turn, send)
        try:
            async with ThreadSensitiveContext(executor=turn.seat):
                await self._application(scope, receive, request.send)
        finally:
            request.end()


class _Request:
    """One request during its turn and, if it takes long without its thread, as a connection."""

    def __init__(self, service: Service, address: str | None, turn: Turn[RequestThread], send: Send) -> None:
        self._places, self._address, self._turn, self._send = service.places, address, turn, send
        self._began = time.monotonic()
        self._answers_since = self._began
        self._is_answering = False
        self._place: Place | None = None
        self._timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._look)

    async def send(self, event: Event) -> None:
        if not self._is_answering:
            self._is_answering, self._answers_since = True, time.monotonic()
        await self._send(event)

    def end(self) -> None:
        self._timer.cancel()
        self._turn.leave()
        if self._place is not None:
            self._place.leave()

    def _look(self) -> None:
        thread, loop = self._turn.seat, asyncio.get_running_loop()
        since = max(self._began, thread.idle_since)
        # A stream that reads its rows in the thread has a cursor there: it keeps its turn.
        is_stream = self._is_answering and thread.idle_since > self._answers_since
        if thread.is_idle and not is_stream and time.monotonic() - since >= IDLE_SECONDS:
            try:
                self._place = self._places.enter(self._address, ANONYMOUS)
            except TooMuch:
                pass  # it keeps its turn instead
            else:
                self._turn.leave()
                return
        self._timer = loop.call_later(IDLE_SECONDS, self._look)


async def _with_body(receive: Receive) -> Receive:
    """Return a ``receive`` that returns a request's whole body at once: a turn must not wait for a slow client."""
    events = deque([await receive()])
    while events[-1]["type"] == "http.request" and events[-1].get("more_body", False):
        events.append(await receive())

    async def replayed() -> Event:
        return events.popleft() if events else await receive()

    return replayed


def _is_asset(scope: Scope) -> bool:
    path: str = scope["path"]
    static = urlsplit(settings.STATIC_URL or "")
    is_ours = not static.netloc and len(static.path) > 1
    return (is_ours and path.startswith(static.path)) or path.removeprefix(
        scope.get("root_path", "")
    ) == _metrics_path()


@cache
def _metrics_path() -> str:
    """Return the path of the metrics below the script prefix, empty if the project does not route them."""
    try:
        return "/" + reverse("realtime:metrics").removeprefix(get_script_prefix())
    except NoReverseMatch:
        return ""


async def _refuse(handshake: Handshake, send: Send, error: NoTurn) -> None:
    """Answer 503 with a page that tries again by itself, or says when to try again."""
    metrics.refusals.labels(int(error.code)).inc()
    why = f"{error}; {PROXY_HINT}" if handshake.may_be_of_own_proxy else str(error)
    ClientLog(handshake.client).warning("refused: %s %s: %s", handshake.method, handshake.path[:200], why)
    seconds = random.randint(*RETRY_SECONDS)
    content, kind = f"{error}\n", "text/plain"
    if "text/html" in (handshake.header("accept") or ""):
        is_safe = handshake.method in ("GET", "HEAD")
        content, kind = _page(handshake, seconds, is_safe), "text/html"
    headers = [
        (b"content-type", f"{kind}; charset=utf-8".encode()),
        (b"content-length", str(len(content.encode())).encode()),
        (b"cache-control", b"no-store"),
        (b"retry-after", str(seconds).encode()),
        *http.SECURITY_HEADERS,
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send(
        {"type": "http.response.body", "body": b"" if handshake.method == "HEAD" else content.encode()}
    )


def _page(handshake: Handshake, seconds: int, is_safe: bool) -> str:
    """Return the page in the language in which Django's middleware would have made it."""
    with translation.override(handshake.language):
        again = (
            _("It is tried again in {seconds} seconds.")
            if is_safe
            else _("Go back, and send the form again in {seconds} seconds.")
        )
        return _PAGE.format(
            language=handshake.language,
            refresh=f'<meta http-equiv="refresh" content="{seconds}">\n' if is_safe else "",
            title=_("Too many requests"),
            heading=_("Too many requests at once"),
            reason=_(
                "This page could not be made, because too many pages were asked for at the same time. "
                "Nothing has been changed."
            ),
            advice=again.format(seconds=seconds),
        )
