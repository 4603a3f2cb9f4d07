"""Reader threads: the bounded pool in which a server process reads its database for its connections.

Channels would send every such read of a process through one thread: one slow query there, and no
handshake succeeds.
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
    """A few threads, each with database connections of its own that stay open between reads."""

    def __init__(self, name: str, threads: int) -> None:
        self._threads = threads
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def run(self, function: Callable[..., T], *args: object) -> T:
        """Return what the function returns; it may use the database."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, _reading, function, args)

    def close(self) -> None:
        """Close the threads' connections and end the threads; waits for a read that is under way."""
        together = threading.Barrier(self._threads)
        for _ in range(self._threads):
            self._executor.submit(_close_connections, together)
        self._executor.shutdown()


def _reading(function: Callable[..., T], args: tuple[object, ...]) -> T:
    try:
        return function(*args)
    except Error:
        # The connection may be the fault: the next read makes a new one.
        connections.close_all()
        raise


def _close_connections(together: threading.Barrier) -> None:
    connections.close_all()
    with contextlib.suppress(threading.BrokenBarrierError):
        together.wait(timeout=5)  # so that each thread takes one of these
