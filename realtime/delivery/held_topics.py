"""Held topics: notes for the sequencer which topics this process holds, in which formats (``publishing/interest.py``).

A note is a write: those of simultaneous subscriptions are one, in a thread of their own. A subscription waits for its
note only for a bounded time: without one the topic is read again after each change, which is slower, and right.
"""

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Collection, Mapping
from typing import NamedTuple

from django.db import DatabaseError, InterfaceError

from ..engine.messages import Content
from ..publishing import commit_watch, interest
from ..runtime.threads import DatabaseThreads

logger = logging.getLogger("realtime.hub")

WAIT_SECONDS = 0.25
"""How long a subscription waits for its note: a database that is locked for long does not delay it further."""
RENEW_SECONDS = 10.0
"""How often the notes are renewed; those of dropped topics are deleted then."""


class _Note(NamedTuple):
    """What is stored of a topic; ``format`` None means all formats."""

    viewers: int
    format: Content | None


class HeldTopics:
    """The notes of one process."""

    def __init__(self) -> None:
        self.process = f"{socket.gethostname()[:30]}:{os.getpid()}:{secrets.token_hex(4)}"
        self.threads = DatabaseThreads("realtime-interest", 1)
        self._number: int | None = None
        self._noted: dict[str, _Note] = {}  # what is stored
        self._waiting: dict[str, Content | None] = {}  # the topics that are to be noted, with their formats
        self._next: asyncio.Task[None] | None = None  # notes what waits when the write under way has ended
        self._tasks: set[asyncio.Task[None]] = set()
        self._writing = asyncio.Lock()
        self._has_failed = False

    async def note(self, topic: str, format: Content | None = None) -> None:
        """Note that the process holds a topic, in one format or in all.

        Returns when that is stored, at the latest after ``WAIT_SECONDS``.
        """
        noted = self._noted.get(topic)
        if noted is not None and noted.format == format:
            return
        self._waiting[topic] = format
        if self._next is None:
            self._next = asyncio.create_task(self._note_waiting(), name="realtime-note")
            self._tasks.add(self._next)
            self._next.add_done_callback(self._tasks.discard)
        await asyncio.wait([self._next], timeout=WAIT_SECONDS)

    async def renew(
        self, held: Mapping[str, int], formats: Mapping[str, Content | None] | None = None
    ) -> None:
        """Store the topics that the process holds now, with their numbers of viewers, and that it still runs.

        ``formats`` has the format of topics that are held in one only.
        """
        notes = {topic: _Note(viewers, (formats or {}).get(topic)) for topic, viewers in held.items()}
        async with self._writing:
            dropped = self._noted.keys() - held.keys() - self._waiting.keys()
            for topic in dropped:  # first: from now on a subscription stores its note again
                del self._noted[topic]
            for topic in self._waiting.keys() & notes.keys():  # a format was asked for meanwhile
                notes[topic] = notes[topic]._replace(format=self._waiting[topic])
            changed = {topic: note for topic, note in notes.items() if self._noted.get(topic) != note}
            await self._store(changed, dropped)
            missing = {topic: note for topic, note in notes.items() if topic not in self._noted}
            if missing and not self._has_failed:  # the database had lost the notes
                await self._store(missing, ())

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.to_thread(self.threads.close)

    async def _note_waiting(self) -> None:
        async with self._writing:
            self._next = None
            waiting, self._waiting = self._waiting, {}
            await self._store({topic: _Note(0, format) for topic, format in waiting.items()}, ())

    async def _store(self, notes: Mapping[str, _Note], dropped: Collection[str]) -> None:
        try:
            is_known = await self.threads.run(self._write, notes, dropped)
        except (DatabaseError, InterfaceError) as error:
            if not self._has_failed:
                logger.warning(
                    "the topics of this process cannot be noted, their rows are read instead: %r", error
                )
            self._has_failed = True
            self._number = None  # what is stored is not known: all notes begin anew
            return
        if self._has_failed:
            logger.info("the topics of this process are noted again")
        self._has_failed = False
        if not is_known:
            self._noted.clear()
        self._noted |= notes

    def _write(self, notes: Mapping[str, _Note], dropped: Collection[str]) -> bool:
        """Store notes; return whether those from before are still there. In the thread."""
        commit_watch.ignore_this_thread()
        viewers = {topic: note.viewers for topic, note in notes.items()}
        formats = {topic: note.format for topic, note in notes.items()}
        if self._number is not None and interest.note(self._number, viewers, dropped, formats):
            return True
        self._number = interest.begin(self.process)
        interest.note(self._number, viewers, (), formats)
        return False
