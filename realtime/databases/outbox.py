"""How far the outbox has been read, in values that every database has."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.db.models import Q

OUTBOX_TABLE = "realtime_outboxrow"


@dataclass(frozen=True, slots=True)
class OutboxCursor:
    """The outbox as one snapshot sees it: every stamp below ``next`` is visible, except those in ``open``.

    Units: a stamp is the number of the writer's transaction (PostgreSQL) or of the row itself (SQLite,
           where no transaction commits out of order and ``open`` is empty).
    """

    next: int
    open: Sequence[int] = ()

    @property
    def offset(self) -> int:
        """Return the snapshot's place among all snapshots: a larger one sees more, an equal one the same."""
        return self.next - len(self.open)

    def missing(self, until: "OutboxCursor", stamp: str) -> tuple[str, list[int]]:
        """Return the SQL condition, with its parameters, for rows visible at ``until`` and not here.

        Evaluate it in the snapshot ``until``. It is bounded on both sides: without the upper bound a
        planner without statistics reads the whole table.
        """
        late = f" OR {stamp} IN ({', '.join(['%s'] * len(self.open))})" if self.open else ""
        return f"({stamp} >= %s AND {stamp} < %s{late})", [self.next, until.next, *self.open]

    def seen(self, stamp: str) -> Q:
        """Return the condition for rows visible here."""
        seen = Q(**{f"{stamp}__lt": self.next})
        return seen & ~Q(**{f"{stamp}__in": list(self.open)}) if self.open else seen


class Probe(NamedTuple):
    """The positions of outbox and log.

    Units: offsets. ``offset`` is the current position, ``sequenced`` how far the outbox has been sequenced,
           ``log_end`` the newest position in the log. ``epoch`` is empty before the log has begun.
           ``is_waiting``: the outbox holds rows that are not sequenced yet.
    """

    offset: int
    epoch: str
    sequenced: int
    log_end: int
    is_waiting: bool
