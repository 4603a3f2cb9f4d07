"""Held topics: notes for the sequencer which topics this process holds (``publishing/interest.py``).

A note is a write: those of simultaneous subscriptions are one, in a thread of their own. A subscription waits for its
note only for a bounded time: without one the topic is read again after each change, which is slower, and right.
"""

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Collection, Mapping

from django.db import DatabaseError, InterfaceError

from ..publishing import commit_watch, interest
from ..runtime.threads import DatabaseThreads

logger = logging.getLogger("realtime.hub")

WAIT_SECONDS = 0.25
"""How long a subscription waits for its note: a database that is locked for long does not delay it further."""
RENEW_SECONDS = 10.0
"""How often the notes are renewed; those of dropped topics are deleted then."""


class HeldTopics:
    """The notes of one process."""

    def __init__(self) -> None:
        self.process = f"{socket.gethostname()[:30]}:{os.getpid()}:{secrets.token_hex(4)}"
        self.threads = DatabaseThreads("realtime-interest", 1)
        self._number: int | None = None
        self._noted: dict[str, int] = {}  # the topics, each with the number of viewers that is stored
        self._waiting: set[str] = set()
        self._next: asyncio.Task[None] | None = None  # notes what waits when the write under way has ended
        self._tasks: set[asyncio.Task[None]] = set()
        self._writing = asyncio.Lock()
        self._has_failed = False

    async def note(self, topic: str) -> None:
        """Note that the process holds a topic; return when that is stored, at the latest after ``WAIT_SECONDS``."""
        if topic in self._noted:
            return
        self._waiting.add(topic)
        if self._next is None:
            self._next = asyncio.create_task(self._note_waiting(), name="realtime-interest")
            self._tasks.add(self._next)
            self._next.add_done_callback(self._tasks.discard)
        await asyncio.wait([self._next], timeout=WAIT_SECONDS)

    async def renew(self, held: Mapping[str, int]) -> None:
        """Store the topics that the process holds now, with their numbers of viewers, and that it still runs."""
        async with self._writing:
            dropped = self._noted.keys() - held.keys() - self._waiting
            for topic in dropped:  # first: from now on a subscription stores its note again
                del self._noted[topic]
            changed = {topic: viewers for topic, viewers in held.items() if self._noted.get(topic) != viewers}
            await self._store(changed, dropped)
            missing = {topic: viewers for topic, viewers in held.items() if topic not in self._noted}
            if missing and not self._has_failed:  # the database had lost the notes
                await self._store(missing, ())

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.to_thread(self.threads.close)

    async def _note_waiting(self) -> None:
        async with self._writing:
            self._next = None
            topics, self._waiting = self._waiting, set()
            await self._store(dict.fromkeys(topics, 0), ())

    async def _store(self, topics: Mapping[str, int], dropped: Collection[str]) -> None:
        try:
            is_known = await self.threads.run(self._write, topics, dropped)
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
        self._noted |= topics

    def _write(self, topics: Mapping[str, int], dropped: Collection[str]) -> bool:
        """Store notes; return whether those from before are still there. In the thread."""
        commit_watch.ignore_this_thread()
        if self._number is not None and interest.note(self._number, topics, dropped):
            return True
        self._number = interest.begin(self.process)
        interest.note(self._number, topics)
        return False
