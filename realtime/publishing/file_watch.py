"""Waking the publisher when another process writes to an SQLite database's file, instead of at its next tick.

An optimisation, not needed for correctness, like ``commit_watch``: where the system does not report writes (systems
other than Linux, network file systems, databases in memory), the tick finds them.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from django.db.backends.sqlite3.base import DatabaseWrapper as SQLiteConnection

from ..databases.registry import database

try:
    from inotify_simple import INotify, flags
except ImportError:  # not on Linux
    INotify = None

logger = logging.getLogger("realtime.publisher")

REST_SECONDS = 0.01


class FileWatch:
    """Reports writes to an SQLite database, at a bounded rate."""

    def __init__(self, path: Path, written: Callable[[], None]) -> None:
        """``written`` is called on the loop when a write begins, at most once each ``REST_SECONDS``.

        Raises: OSError, where files cannot be watched.
        """
        self._names = {path.name, f"{path.name}-wal"}
        self._written = written
        self._loop = asyncio.get_running_loop()
        self._rest: asyncio.TimerHandle | None = None
        self._events = INotify()
        try:
            # The directory: the write-ahead log is deleted and created again, and a restored backup is a new file.
            self._events.add_watch(path.parent, flags.MODIFY)
        except OSError:
            self._events.close()
            raise
        self._listen()

    def close(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
        self._loop.remove_reader(self._events.fileno())
        self._events.close()

    def skip(self) -> None:
        """Do not report the writes until now: the caller has handled them, most are its own."""
        self._events.read(timeout=0)

    def _listen(self) -> None:
        self._loop.add_reader(self._events.fileno(), self._read)

    def _read(self) -> None:
        self._loop.remove_reader(self._events.fileno())
        self._rest = self._loop.call_later(REST_SECONDS, self._listen)
        # The event of an overflow has no file name.
        if any(not event.name or event.name in self._names for event in self._events.read(timeout=0)):
            self._written()


def watch(written: Callable[[], None]) -> FileWatch | None:
    """Return a watch of the engine's database; None where writes cannot be noticed."""
    connection = database().connection
    if INotify is None or not isinstance(connection, SQLiteConnection) or connection.is_in_memory_db():
        return None
    try:
        return FileWatch(Path(connection.settings_dict["NAME"]).resolve(), written)
    except OSError as error:  # the user's number of watches is limited
        logger.info("the database's file is not watched, its writes are found by the tick: %s", error)
        return None
