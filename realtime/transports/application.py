"""The outermost ASGI application: the work on every server before and after the project's application runs."""

import asyncio
import logging
import signal
import threading
from typing import ClassVar

from django.conf import settings

from ..access.handshake import MAX_HEADERS, Handshake
from ..engine.codes import Code
from ..engine.messages import Error
from ..runtime.asgi_types import Application, Event, Receive, Scope, Send
from ..runtime.refusals import Refused
from ..servers.answers import Answer
from ..servers.backpressure import reporting_receive, waiting_send
from ..servers.frames import WRITER, writer
from ..servers.listeners import accept_few, stop_listening
from ..servers.reactor import counts_bodies, guard_daphne, start_with_reactor
from ..servers.request_bodies import Body
from ..service import get_service
from .http import refuse

logger = logging.getLogger("realtime.asgi")

# daphne lets any client set the script prefix with this header.
_ROOT_PATH_HEADER = b"daphne-root-path"


class RealtimeApplication:
    """Wraps the project's application: script prefix, start and stop of the service, no socket left open behind it."""

    is_made: ClassVar = False
    """Whether this process has made an instance, so that the project's application includes the engine."""

    def __init__(self, application: Application) -> None:
        RealtimeApplication.is_made = True
        self._application = application
        guard_daphne(lambda: get_service().request_bodies)
        start_with_reactor(_start)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        await get_service().ensure_started()
        scope = _with_script_prefix(scope)
        get_service().stalled_clients.watch(send)
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._http(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await get_service().ensure_started()
                accept_few(signal.getsignal(signal.SIGTERM))
                _drain_on_sigterm()
                await send({"type": "lifespan.startup.complete"})
            else:
                await get_service().stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application for a request; wait until the answer has been read.

        Refuse a request with too many headers or a body that is too long.
        """
        unanswered = get_service().unanswered
        answer = Answer(scope.get("method", "GET"), send, lambda: Handshake.from_scope(scope).address)
        closing = _closing_at_the_end(answer.send) if scope.get("http_version") == "1.1" else answer.send
        body: Body | None = None

        async def answered(event: Event) -> None:
            unanswered.discard(limit)
            await closing(event)

        async def counting_receive() -> Event:
            nonlocal body
            event = await receive()
            size = len(event.get("body", b""))
            if size:
                body = body or Body(get_service().request_bodies, Handshake.from_scope(scope).address)
                body.count(size)
            return event

        try:
            async with unanswered.limit() as limit:
                if _has_too_many_headers(scope):
                    error = Error(Code.BAD_MESSAGE, f"a request may have {MAX_HEADERS} headers")
                    raise Refused([error], 431)
                await self._application(scope, receive if counts_bodies() else counting_receive, answered)
        except Refused as refused:
            if not answer.is_started:
                await refuse(Handshake.from_scope(scope), closing, refused)
        finally:
            answer.close()
            if body is not None:
                body.release()

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application for a socket; if it ends and leaves the socket open, close it.

        daphne would keep such a socket and answer its pings, with no application behind it.
        """
        if _has_too_many_headers(scope):
            await send({"type": "websocket.close"})  # before it is accepted: the server answers 403
            return
        is_open = True
        scope[WRITER] = writer(send)
        receive = reporting_receive(receive, send)
        waiting = waiting_send(send)
        scope["realtime.waits"] = waiting is not None
        send = waiting or send

        async def watched_receive() -> Event:
            nonlocal is_open
            message = await receive()
            if message["type"] == "websocket.disconnect":
                is_open = False
            return message

        async def watched_send(message: Event) -> None:
            nonlocal is_open
            if message["type"] == "websocket.close":
                is_open = False
            await send(message)

        try:
            await self._application(scope, watched_receive, watched_send)
        except asyncio.CancelledError:
            if not get_service().is_closing:
                raise
            logger.debug("a socket was still being served when the server's time for stopping was over")
        finally:
            if is_open:
                try:
                    await send({"type": "websocket.close", "code": int(Code.INTERNAL)})
                except (Exception, asyncio.CancelledError) as error:
                    logger.debug("socket not closed: %s", error)


def _has_too_many_headers(scope: Scope) -> bool:
    return len(scope.get("headers", ())) > MAX_HEADERS


def _closing_at_the_end(send: Send) -> Send:
    """Return a ``send`` that makes a stopping process close the connection after the answer."""

    async def closing_send(event: Event) -> None:
        if event["type"] == "http.response.start" and get_service().health.is_draining:
            event = {**event, "headers": [*event.get("headers", []), (b"connection", b"close")]}
        await send(event)

    return closing_send


async def _start() -> None:
    """Start the service with the process: publishing, jobs and pruning must not wait for a request."""
    await get_service().ensure_started()
    _drain_on_sigterm()


def _with_script_prefix(scope: Scope) -> Scope:
    """Return the scope with the deployment's script prefix in its path, whether or not a proxy has removed it.

    The prefix is ``FORCE_SCRIPT_NAME``, or the server's option ``--root-path``; never a client's.
    """
    headers = [(name, value) for name, value in scope.get("headers", []) if name != _ROOT_PATH_HEADER]
    is_clients = len(headers) != len(scope.get("headers", []))
    servers_own = "" if is_clients else scope.get("root_path", "")
    prefix = (servers_own if settings.FORCE_SCRIPT_NAME is None else settings.FORCE_SCRIPT_NAME).rstrip("/")
    path = scope["path"]
    if prefix and path != prefix and not path.startswith(f"{prefix}/"):
        path = prefix + path
    return {**scope, "headers": headers, "path": path, "root_path": prefix}


def _drain_on_sigterm() -> None:
    """On SIGTERM move the connections to other servers before the server stops, which would abort them.

    A second SIGTERM stops the server at once.
    """
    servers_own = signal.getsignal(signal.SIGTERM)
    if not callable(servers_own) or threading.current_thread() is not threading.main_thread():
        return
    loop, service = asyncio.get_running_loop(), get_service()
    draining: list[asyncio.Task[None]] = []

    def begin(number: int) -> None:
        if draining:
            servers_own(number, None)
        else:
            draining.append(loop.create_task(drain_and_stop(number), name="realtime-drain"))

    async def drain_and_stop(number: int) -> None:
        try:
            await service.drain(lambda: stop_listening(servers_own))
        finally:
            servers_own(number, None)

    signal.signal(signal.SIGTERM, lambda number, frame: loop.call_soon_threadsafe(begin, number))
