"""Database threads: a bounded pool in which a server process uses its database.

Channels would run all such calls of a process in one thread, where one slow query would delay every handshake.
"""

import asyncio
import contextlib
import logging
import threading
import time
from asyncio import CancelledError
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeVar
from weakref import WeakSet

from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from ..databases.registry import database, on
from .failures import as_exception, contained

logger = logging.getLogger("realtime.service")

T = TypeVar("T")

CLOSE_SECONDS = 2.0
"""How long closing waits for the calls under way, however long their queries take."""
GRACE_SECONDS = 0.5
"""How long closing leaves a query alone; then, and again after as long, it is cancelled."""

_Call = tuple["Future[Any]", Callable[..., Any], tuple[object, ...]]


class Stopping(RuntimeError):
    """A function was submitted to database threads that the process has closed, because it stops."""


class DatabaseThreads:
    """Threads, each with database connections of its own that stay open between calls.

    They are daemons, unlike those of ``concurrent.futures``: a call that cannot be ended does not keep the process.
    """

    def __init__(self, name: str, threads: int) -> None:
        self._name, self._size = name, threads
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._threads: dict[threading.Thread, Sequence[BaseDatabaseWrapper]] = {}  # with their connections
        self._lock = threading.Lock()
        self._is_closed = False
        _pools.add(self)

    async def run(self, function: Callable[..., T], *args: object) -> T:
        """Return the result of a function that may use the database.

        Raises: what the function raises; a RuntimeError in place of errors that event loops treat specially.
        """
        return await asyncio.wrap_future(self.submit(_contained, function, *args))

    def submit(self, function: Callable[..., T], *args: object) -> "Future[T]":
        """Return a future with the result of a function that may use the database.

        Its exception is what the function raises; a RuntimeError in place of errors that would end the process.
        Raises: Stopping, after ``close``.
        """
        future: Future[T] = Future()
        with self._lock:
            if self._is_closed:
                raise Stopping(f"{self._name}: the process stops")
            self._calls.put((future, function, args))
            if not self._idle.acquire(blocking=False) and len(self._threads) < self._size:
                name = f"{self._name}_{len(self._threads)}"
                thread = threading.Thread(target=self._work, name=name, daemon=True)
                self._threads[thread] = []
                thread.start()
        return future

    def close(self) -> None:
        """End the threads and close their connections; return within ``CLOSE_SECONDS``.

        Calls that were submitted before may end in this time; their queries are cancelled if they take long.
        """
        self.refuse_calls()
        for _ in self._threads:
            self._calls.put(None)
        ends = time.monotonic() + CLOSE_SECONDS
        while running := [thread for thread in self._threads if thread.is_alive()]:
            left = ends - time.monotonic()
            if left <= 0:
                break
            _join(running, min(left, GRACE_SECONDS))
            self._cancel_queries()
        if running:
            logger.warning("%s: %d calls did not end and are given up", self._name, len(running))
        with contextlib.suppress(Empty):
            while True:
                call = self._calls.get_nowait()
                if call is not None:
                    call[0].cancel()

    def refuse_calls(self) -> bool:
        """Accept no further calls; return whether there are threads to end."""
        with self._lock:
            self._is_closed = True
        return bool(self._threads)

    def _cancel_queries(self) -> None:
        """Cancel the queries under way; each in a thread, because the database's server may not answer."""
        for thread, owned in self._threads.items():
            for connection in owned if thread.is_alive() else []:
                if connection.connection is not None:
                    threading.Thread(target=_cancel, args=[connection], daemon=True).start()

    def _work(self) -> None:
        self._threads[threading.current_thread()] = connections.all()
        while True:
            call = self._calls.get()
            if call is None:
                break
            future, function, args = call
            if future.set_running_or_notify_cancel():
                try:
                    result = _call(function, args)
                except CancelledError as error:
                    future.set_exception(error)  # of a request whose client has left: asgiref expects it
                except BaseException as error:
                    future.set_exception(as_exception(error))
                else:
                    future.set_result(result)
            del call, future, function, args  # a waiting thread must not keep a result in memory
            self._idle.release()
        connections.close_all()


class RequestThread(Executor):
    """A thread in which requests run one after the other, with the interface of asgiref's thread-sensitive context."""

    def __init__(self, name: str) -> None:
        self.threads = DatabaseThreads(name, 1)
        self.idle_since = time.monotonic()
        self._latest: Future[Any] | None = None

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> "Future[T]":
        future = self.threads.submit(partial(fn, *args, **kwargs))
        future.add_done_callback(self._note)
        self._latest = future
        return future

    @property
    def is_idle(self) -> bool:
        return self._latest is None or self._latest.done()

    def when_idle(self, call: Callable[[], None]) -> None:
        """Call a function when the current call has ended: a view continues after its request was cancelled."""
        if self._latest is None:
            call()
        else:
            self._latest.add_done_callback(lambda future: call())

    def _note(self, future: "Future[Any]") -> None:
        self.idle_since = time.monotonic()


def close_open() -> None:
    """Close all pools of the process that are open; for tests, whose event loops may have ended before their engine."""
    for pool in list(_pools):
        pool.close()


async def close_all(*pools: DatabaseThreads) -> None:
    """Close several pools at the same time, each that has been used in a thread."""
    await asyncio.gather(*[asyncio.to_thread(pool.close) for pool in pools if pool.refuse_calls()])


def reopen_connections() -> None:
    """Have every thread of the process open its database connections again, before the next use."""
    global _generation
    _generation += 1


def close_former_connections(**kwargs: object) -> None:
    """Close this thread's connections if ``reopen_connections`` was called since; a receiver of ``request_started``."""
    if getattr(_thread, "generation", _generation) != _generation:
        if any(connection.in_atomic_block for connection in connections.all(initialized_only=True)):
            return  # a request of Django's test client, inside the transaction of a test: closing would end it
        connections.close_all()
    _thread.generation = _generation


class OpenFile:
    """The file that had the database's name at the last check; "" for a database without a file."""

    def __init__(self) -> None:
        self._identity: str | None = None

    def reopen_if_replaced(self) -> bool:
        """If another file has the name now, have every thread of the process open it; return whether that is so.

        Until then their connections read and write the former file, which has no name any more.
        """
        before, self._identity = self._identity, database().file_identity()
        if before is None or before == self._identity:
            return False
        reopen_connections()
        connections.close_all()
        return True


_pools: "WeakSet[DatabaseThreads]" = WeakSet()
_generation = 0
_thread = threading.local()


def _contained(function: Callable[..., T], *args: object) -> T:
    with contained:
        return function(*args)


def _call(function: Callable[..., T], args: tuple[object, ...]) -> T:
    close_former_connections()
    try:
        return function(*args)
    except Error:
        # The connection may be the cause: the next call opens a new one.
        if any(map(_is_lost, connections.all(initialized_only=True))):
            reopen_connections()  # those of threads that were idle meanwhile are lost, too
        connections.close_all()
        raise


def _is_lost(connection: BaseDatabaseWrapper) -> bool:
    """Return whether the database's server has ended a connection; files have none that could be."""
    return bool(getattr(connection.connection, "closed", False))


def _join(threads: list[threading.Thread], seconds: float) -> None:
    ends = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, ends - time.monotonic()))


def _cancel(connection: BaseDatabaseWrapper) -> None:
    with contextlib.suppress(Exception):  # closed meanwhile, or the server cannot be reached
        on(connection).cancel_query()
