"""Twisted's reactor, if daphne serves in this process: whether it runs, and calls when it starts and stops.

daphne sends no lifespan events. Nothing here imports Twisted where it is not loaded.
"""

import asyncio
import atexit
import contextlib
import logging
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from . import private_objects
from .private_objects import Feature
from .request_bodies import RequestBodies

logger = logging.getLogger("realtime.servers")

END_SECONDS = 1.0
"""How long tasks that are cancelled when the process ends may take."""


def loaded_reactor() -> Any:
    """Return Twisted's reactor, None where it is not loaded."""
    return sys.modules.get("twisted.internet.reactor")


def is_running() -> bool:
    """Return whether this process serves by Twisted's reactor, which is daphne's."""
    reactor = loaded_reactor()
    return reactor is not None and bool(getattr(reactor, "running", False))


def guard_daphne(request_bodies: Callable[[], RequestBodies]) -> None:
    """Guard daphne's connections from the first one on, if daphne is loaded; call this before its reactor runs.

    ``request_bodies`` is called when the first body arrives, in the event loop.
    """
    reactor = loaded_reactor()
    if private_objects.SERVERS["daphne"] in sys.modules and reactor is not None:
        reactor.callWhenRunning(_guard, reactor, request_bodies)


def _guard(reactor: Any, request_bodies: Callable[[], RequestBodies]) -> None:
    private_objects.report("daphne")
    if private_objects.fits(Feature.DAPHNE_GUARDS):
        # Not earlier: importing it needs the classes that have just been probed.
        from .daphne import install

        install(reactor, request_bodies)


def start_with_reactor(start: Callable[[], Awaitable[None]]) -> None:
    """Await ``start`` as soon as daphne's reactor runs; elsewhere do nothing: lifespan does it.

    Call this before the reactor runs. A process that has loaded daphne and never serves, such as a command, never
    runs its reactor.
    """
    reactor = loaded_reactor()
    if private_objects.SERVERS["daphne"] in sys.modules and reactor is not None:
        # Once more later: the reactor reports that it runs before its event loop does.
        reactor.callWhenRunning(reactor.callLater, 0, _start, start)


def _start(start: Callable[[], Awaitable[None]]) -> None:
    atexit.register(_end_tasks, asyncio.get_running_loop())
    starting = asyncio.ensure_future(start())
    _starting.add(starting)
    starting.add_done_callback(_started)


def _started(starting: "asyncio.Future[None]") -> None:
    _starting.discard(starting)
    if not starting.cancelled() and (error := starting.exception()) is not None:
        logger.error("the engine cannot start, requests fail: %s", error, exc_info=error)


def _end_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel the tasks that the reactor has left suspended, as ``asyncio.run`` does.

    Python 3.11 crashes where it destroys a coroutine that waits for an ``asyncio.Event`` after its modules. Under
    ``runserver`` the process ends while the reactor still runs, in another thread.
    """
    if loop.is_closed():
        return
    ending = _tasks_ended(loop)
    if loop.is_running():
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(ending, loop).result(2 * END_SECONDS)
    else:
        loop.run_until_complete(ending)


async def _tasks_ended(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop) - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=END_SECONDS)


_starting: set["asyncio.Future[None]"] = set()  # the event loop keeps weak references only


def counts_bodies() -> bool:
    """Return whether the server itself counts request bodies, as daphne's guards do before the application runs."""
    return is_running() and private_objects.fits(Feature.DAPHNE_GUARDS)


def stop_with_reactor(stop: Callable[[], Awaitable[None]]) -> None:
    """Await ``stop`` before the running reactor stops; elsewhere do nothing: lifespan does it."""
    if not is_running() or not private_objects.fits(Feature.DAPHNE_STOP):
        return
    from twisted.internet.defer import Deferred

    def stopped() -> Any:
        return Deferred.fromFuture(asyncio.ensure_future(stop()))

    loaded_reactor().addSystemEventTrigger("before", "shutdown", stopped)
