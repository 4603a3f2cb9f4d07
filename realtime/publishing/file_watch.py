"""Waking the publisher when another process writes to a database file, instead of at its next tick.

Economy, not safety, like ``wake.py``: where the system does not tell of writes (another system than Linux, another
machine's file, a database that is none), the tick finds them.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from django.db import connections

try:
    from inotify_simple import INotify, flags
except ImportError:  # not on Linux
    INotify = None

logger = logging.getLogger("realtime.publisher")

REST_SECONDS = 0.01


class FileWatch:
    """Tells of writes to an SQLite database, once in a while however many there are."""

    def __init__(self, path: Path, written: Callable[[], None]) -> None:
        """``written`` is called on the loop, when a write begins and no more often than each ``REST_SECONDS``.

        Raises: OSError, where files cannot be watched.
        """
        self._names = {path.name, f"{path.name}-wal"}
        self._written = written
        self._loop = asyncio.get_running_loop()
        self._rest: asyncio.TimerHandle | None = None
        self._events = INotify()
        try:
            # The directory: the write-ahead log comes and goes, and a restored backup is another file.
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
        """Take what has been written until now as known: the caller's own writes, mostly."""
        self._events.read(timeout=0)

    def _listen(self) -> None:
        self._loop.add_reader(self._events.fileno(), self._hear)

    def _hear(self) -> None:
        self._loop.remove_reader(self._events.fileno())
        self._rest = self._loop.call_later(REST_SECONDS, self._listen)
        # An overflow names no file.
        if any(not event.name or event.name in self._names for event in self._events.read(timeout=0)):
            self._written()


def watch(using: str, written: Callable[[], None]) -> FileWatch | None:
    """Return what tells of writes to that database; None where nothing does."""
    connection = connections[using]
    if INotify is None or connection.vendor != "sqlite" or connection.is_in_memory_db():
        return None
    try:
        return FileWatch(Path(connection.settings_dict["NAME"]).resolve(), written)
    except OSError as error:  # the user's number of watches is limited
        logger.info("the database's file is not watched, its writes are found by the tick: %s", error)
        return None
