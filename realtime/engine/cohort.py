"""A cohort: subscribers of a topic that have received the same messages and wait for its next change only.

They share one cursor: a change is looked up once, and each member costs one write. A client receives exactly what its
session alone would send; a cohort only avoids calling each session. Before a session does anything else, it leaves its
cohorts, with a copy of the cursor and the sizes of the messages that it was sent. When it has sent everything, it joins
again.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Hashable, Iterator
from typing import NamedTuple

from .cursor import Cursor
from .messages import Encoded

MAX_MESSAGES = 1000
"""How many messages a cohort sends before its members leave it, so that its list of their sizes is bounded."""

Write = Callable[[Encoded], bool]
"""Writes a message if the socket accepts it at once; returns False otherwise."""

# Numbers the messages of all cohorts: a session may be in several, and its messages must have an order.
_numbers = itertools.count()


class Sent(NamedTuple):
    """A message that a cohort has sent: its number among those of all cohorts, and its length."""

    number: int
    size: int


class Cohort:
    """The members at one cursor."""

    __slots__ = ("_before", "_behind", "_bytes", "_max_bytes", "_sent", "cursor", "members", "recoveries")

    def __init__(self, cursor: Cursor, recoveries: int) -> None:
        """``recoveries`` are the topic's when its members were last answered."""
        self.cursor, self.recoveries = cursor, recoveries
        self.members: dict[Hashable, Write] = {}
        """The members that have been sent everything up to the cursor."""
        # The members that have not been sent the newest message, and their cursor.
        self._behind: dict[Hashable, Write] = {}
        self._before = cursor
        self._sent: list[Sent] = []
        self._bytes = 0
        self._max_bytes = math.inf  # up to this number of bytes no member has to acknowledge anything

    def __len__(self) -> int:
        return len(self.members) + len(self._behind)

    def join(self, member: Hashable, write: Write, room: float) -> int:
        """Add a member to which ``room`` bytes may be sent; return the number to leave with."""
        self.members[member] = write
        self._max_bytes = min(self._max_bytes, self._bytes + room)
        return len(self._sent)

    def leave(self, member: Hashable, joined: int) -> tuple[Cursor, list[Sent]]:
        """Remove a member; return its cursor and the sizes that it was sent. ``joined`` is the result of ``join``."""
        if self._behind.pop(member, None) is not None:
            return self._before.copy(), self._sent[joined:-1]
        del self.members[member]
        return self.cursor.copy(), self._sent[joined:]

    def has_room_for(self, message: Encoded) -> bool:
        """Return whether every member may be sent a message without an acknowledgement."""
        return self._bytes + len(message) <= self._max_bytes and len(self._sent) < MAX_MESSAGES

    def send(self, message: Encoded, cursor: Cursor, at_once: int) -> Iterator[None]:
        """Write a message that leads to ``cursor``, to ``at_once`` members before each yield.

        Members to which it cannot be written stay behind: they must leave before the next one.
        """
        self._before, self.cursor = self.cursor, cursor
        self._behind, self.members = self.members, {}
        self._sent.append(Sent(next(_numbers), len(message)))
        self._bytes += len(message)
        members, behind = self.members, self._behind
        waiting = zip(list(behind), list(behind.values()), strict=True)
        for _ in range(0, len(behind), at_once):
            for member, write in itertools.islice(waiting, at_once):
                try:
                    is_written = member in behind and write(message)
                except Exception:  # of this member only: it fails again, and is closed, when it is notified
                    is_written = False
                if is_written:
                    del behind[member]
                    members[member] = write
            yield
