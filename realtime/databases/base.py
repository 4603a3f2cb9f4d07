"""The values in which every database says how far it has come."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.db.models import Q


@dataclass(frozen=True, slots=True)
class OutboxCursor:
    """A snapshot, as the outbox sees it: every stamp below ``next`` has been seen, but those in ``open``.

    Units: a stamp is the number of the writer's transaction (PostgreSQL) or of the row itself (SQLite,
           where nothing commits late and ``open`` is empty).
    """

    next: int
    open: Sequence[int] = ()

    @property
    def offset(self) -> int:
        """Return the snapshot's place among all others: a larger one sees more, an equal one the same."""
        return self.next - len(self.open)

    def missing_at(self, until: "OutboxCursor", stamp: str) -> Q:
        """Return the condition for what is seen at ``until`` and not here, read in the snapshot ``until``.

        Bounded on both sides: without the upper bound a planner without statistics reads the whole table.
        """
        missing = Q(**{f"{stamp}__gte": self.next, f"{stamp}__lt": until.next})
        return missing | Q(**{f"{stamp}__in": list(self.open)}) if self.open else missing

    def missing_sql(self, until: "OutboxCursor", stamp: str) -> tuple[str, list[int]]:
        """Return the same condition as SQL with its parameters."""
        late = f" OR {stamp} IN ({', '.join(['%s'] * len(self.open))})" if self.open else ""
        return f"({stamp} >= %s AND {stamp} < %s{late})", [self.next, until.next, *self.open]

    def seen(self, stamp: str) -> Q:
        """Return the condition for what has been seen here."""
        seen = Q(**{f"{stamp}__lt": self.next})
        return seen & ~Q(**{f"{stamp}__in": list(self.open)}) if self.open else seen


class Probe(NamedTuple):
    """Where outbox and log stand.

    Units: offsets. ``offset`` is the position of now, ``sequenced`` how far the outbox has been sequenced,
           ``log_end`` the newest position in the log. ``epoch`` is empty before the log has begun.
           ``is_waiting``: the outbox holds something to sequence.
    """

    offset: int
    epoch: str
    sequenced: int
    log_end: int
    is_waiting: bool
