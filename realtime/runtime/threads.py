"""Database threads: a bounded pool in which a server process uses its database.

Channels would run all such calls of a process in one thread, where one slow query would delay every handshake.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import Error, connections

T = TypeVar("T")


class DatabaseThreads:
    """Threads, each with database connections of its own that stay open between calls."""

    def __init__(self, name: str, threads: int) -> None:
        self._threads = threads
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def run(self, function: Callable[..., T], *args: object) -> T:
        """Return the result of a function that may use the database."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, _call, function, args)

    def close(self) -> None:
        """Close the threads' connections and end the threads, after the calls under way."""
        together = threading.Barrier(self._threads)
        for _ in range(self._threads):
            self._executor.submit(_close_connections, together)
        self._executor.shutdown()


def _call(function: Callable[..., T], args: tuple[object, ...]) -> T:
    try:
        return function(*args)
    except Error:
        # The connection may be the cause: the next call opens a new one.
        connections.close_all()
        raise


def _close_connections(together: threading.Barrier) -> None:
    connections.close_all()
    with contextlib.suppress(threading.BrokenBarrierError):
        together.wait(timeout=5)  # so that each thread runs one of these
