"""The outermost ASGI application: what has to hold for every server, before and after ours runs."""

import asyncio
import logging
import signal
import sys
import threading
from types import FrameType
from typing import Any

from .access.handshake import Handshake
from .engine.codes import Code
from .runtime.refusals import Refused
from .servers.backpressure import buffered, is_daphne
from .servers.frames import WRITER, writer
from .servers.request_bodies import Body
from .service import get_service
from .transports.http import refuse

logger = logging.getLogger("realtime.asgi")

# daphne lets any client set the script prefix with this header.
_ROOT_PATH_HEADER = b"daphne-root-path"


def _drain_on_sigterm() -> None:
    """Say goodbye to connections when the server is told to stop: it closes them before lifespan says so."""
    servers_own = signal.getsignal(signal.SIGTERM)
    if not callable(servers_own) or threading.current_thread() is not threading.main_thread():
        return
    loop, service = asyncio.get_running_loop(), get_service()

    def drain(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(service.dismiss)
        servers_own(number, frame)

    signal.signal(signal.SIGTERM, drain)


def _guard_daphne() -> None:
    """Let daphne, if this is its process, take no connection unguarded."""
    if "daphne.server" not in sys.modules:
        return
    try:
        from .servers.daphne import install

        install()
    except ImportError as error:
        logger.warning("daphne is not guarded against hostile clients: %s; see docs/operations.md", error)


class RealtimeApplication:
    """Wraps the project's application: root path, start and stop of the service, no zombie sockets."""

    def __init__(self, application, root_path: str = "") -> None:
        self._application = application
        self._root_path = root_path
        _guard_daphne()

    async def __call__(self, scope: dict[str, Any], receive, send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        await get_service().ensure_started()
        headers = [(name, value) for name, value in scope.get("headers", []) if name != _ROOT_PATH_HEADER]
        scope = {**scope, "headers": headers, "root_path": self._root_path}
        get_service().stalled_clients.watch(send)
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif is_daphne():  # has read the whole body already, by its guards
            await self._application(scope, receive, send)
        else:
            await self._http(scope, receive, send)

    async def _lifespan(self, receive, send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await get_service().ensure_started()
                _drain_on_sigterm()
                await send({"type": "lifespan.startup.complete"})
            else:
                await get_service().stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _http(self, scope: dict[str, Any], receive, send) -> None:
        """Run a request's application with a body that is not too long for us."""
        body, is_started = Body(), False

        async def bounded_receive():
            event = await receive()
            if event["type"] == "http.request":
                body.take(len(event.get("body", b"")))
            return event

        async def watched_send(event):
            nonlocal is_started
            is_started = True
            await send(event)

        try:
            await self._application(scope, bounded_receive, watched_send)
        except Refused as refused:
            if not is_started:
                await refuse(Handshake.from_scope(scope), send, refused)
        finally:
            body.done()

    async def _websocket(self, scope: dict[str, Any], receive, send) -> None:
        """Run a socket's application; when it ends with the socket open, close it.

        daphne keeps such a socket, answers its pings, and nobody is there.
        """
        is_open = True
        scope[WRITER] = writer(send)
        # daphne's own queue knows no bound; its guard hears that there is room again.
        taken = getattr(next(iter(getattr(send, "args", ())), None), "taken", None)
        if is_daphne():
            waiting_send = buffered(send)
            scope["realtime.waits"] = waiting_send is not None
            send = waiting_send or send

        async def watched_receive():
            nonlocal is_open
            message = await receive()
            if taken is not None:
                taken()
            if message["type"] == "websocket.disconnect":
                is_open = False
            return message

        async def watched_send(message):
            nonlocal is_open
            if message["type"] == "websocket.close":
                is_open = False
            await send(message)

        try:
            await self._application(scope, watched_receive, watched_send)
        except ValueError as error:
            # Channels' router says so of a path that it does not have.
            if not str(error).startswith("No route found"):
                raise
            logger.warning("socket refused: no address %r", scope["path"][:200])
        finally:
            if is_open:
                try:
                    await send({"type": "websocket.close", "code": int(Code.INTERNAL)})
                except (Exception, asyncio.CancelledError) as error:
                    logger.debug("socket not closed: %s", error)
