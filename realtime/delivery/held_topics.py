"""Held topics: notes for the sequencer which topics this process holds, in which formats (``publishing/interest.py``).

Notes are written to the database in a thread of their own, those of simultaneous subscriptions by one write. A
subscription waits for its note for a bounded time: without a note the topic is read again after each change, which is
slower but correct.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import socket
from collections.abc import Collection, Mapping
from itertools import islice
from typing import NamedTuple

from django.db import DatabaseError, InterfaceError

from ..engine.messages import Content
from ..publishing import commit_watch, interest
from ..publishing.interest import Viewers
from ..runtime.threads import DatabaseThreads

logger = logging.getLogger("realtime.hub")

WAIT_SECONDS = 0.25
"""How long a subscription waits for its note: a database that is locked for long does not delay it further."""
RENEW_SECONDS = 10.0
"""How often the notes are renewed; those of dropped topics are deleted then."""
COMPARED_AT_ONCE = 500
"""How many notes are compared with the stored ones before the event loop may do other work (1 ms)."""
END_SECONDS = 1.0
"""How long a process that stops tries to delete its notes, which expire otherwise."""


class _Note(NamedTuple):
    """The stored note of a topic; ``format`` None means all formats."""

    viewers: int
    format: Content | None
    names: tuple[str, ...] = ()


class HeldTopics:
    """The notes of one process."""

    def __init__(self) -> None:
        self.process = f"{socket.gethostname()[:30]}:{os.getpid()}:{secrets.token_hex(4)}"
        self.threads = DatabaseThreads("realtime-interest", 1)
        self._number: int | None = None
        self._noted: dict[str, _Note] = {}  # the stored notes
        self._waiting: dict[str, Content | None] = {}  # the topics that are to be noted, with their formats
        self._next: asyncio.Task[None] | None = None  # notes what waits when the write under way has ended
        self._tasks: set[asyncio.Task[None]] = set()
        self._writing = asyncio.Lock()
        self._has_failed = False

    async def note(self, topic: str, format: Content | None = None) -> None:
        """Note that the process holds a topic, in one format or in all.

        Return when the note is stored, at the latest after ``WAIT_SECONDS``.
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
        self,
        held: Mapping[str, int],
        formats: Mapping[str, Content | None] | None = None,
        counted: Mapping[str, Viewers] | None = None,
    ) -> None:
        """Store the topics that the process holds now, with their numbers of viewers; this also keeps its notes valid.

        ``formats`` has the format of topics that are held in one only, ``counted`` what ``count`` was given last.
        """
        formats, counted = formats or {}, counted or {}

        def note_of(topic: str) -> _Note:
            viewers, names = counted.get(topic, (held[topic], ()))
            # A format may have been asked for meanwhile.
            return _Note(viewers, self._waiting.get(topic, formats.get(topic)), names)

        async with self._writing:
            dropped = self._noted.keys() - held.keys() - self._waiting.keys()
            for topic in dropped:  # first: from now on a subscription stores its note again
                del self._noted[topic]
            changed: dict[str, _Note] = {}
            topics = iter(held)
            while some := list(islice(topics, COMPARED_AT_ONCE)):
                notes = {topic: note_of(topic) for topic in some}
                changed |= {topic: note for topic, note in notes.items() if self._noted.get(topic) != note}
                await asyncio.sleep(0)
            await self._store(changed, dropped)
            missing = held.keys() - self._noted.keys()
            if missing and not self._has_failed:  # the database had lost the notes
                await self._store({topic: note_of(topic) for topic in missing}, ())

    async def count(self, counted: Mapping[str, Viewers]) -> None:
        """Store the viewers of topics that are noted with others."""
        async with self._writing:
            changed = {
                topic: note._replace(viewers=viewers, names=names)
                for topic, (viewers, names) in counted.items()
                if (note := self._noted.get(topic)) is not None
                and (note.viewers, note.names) != (viewers, names)
            }
            if changed:
                await self._store(changed, ())

    async def viewers(self, topics: Collection[str]) -> dict[str, Viewers]:
        """Return the viewers of topics in all processes.

        Raises: what the database raises.
        """
        return await self.threads.run(interest.viewers, topics)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        number, self._number = self._number, None
        if number is not None:
            with contextlib.suppress(TimeoutError, DatabaseError, InterfaceError):
                async with asyncio.timeout(END_SECONDS):
                    await self.threads.run(interest.end, number)
        await asyncio.to_thread(self.threads.close)

    async def _note_waiting(self) -> None:
        async with self._writing:
            self._next = None
            waiting, self._waiting = self._waiting, {}
            notes = {
                topic: self._noted.get(topic, _Note(0, None))._replace(format=format)
                for topic, format in waiting.items()
            }
            await self._store(notes, ())

    async def _store(self, notes: Mapping[str, _Note], dropped: Collection[str]) -> None:
        try:
            is_known = await self.threads.run(self._write, notes, dropped)
        except (DatabaseError, InterfaceError) as error:
            if not self._has_failed:
                logger.warning(
                    "the topics of this process cannot be noted, their rows are read instead: %r", error
                )
            self._has_failed = True
            self._number = None  # the stored notes are not known: all are written again
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
        names = {topic: note.names for topic, note in notes.items() if note.names}
        if self._number is not None and interest.note(self._number, viewers, dropped, formats, names):
            return True
        self._number = interest.begin(self.process)
        interest.note(self._number, viewers, (), formats, names)
        return False
