"""Sequencing for tests: finds changes in the test's own view of the database, and delivers them to open clients.

A server sequences committed rows, by the numbers of transactions. A test often runs in one transaction that is never
committed, so here each outbox row that the test's connection sees is taken once, whatever transaction wrote it.
"""

from collections.abc import Callable
from weakref import WeakSet

from asgiref.sync import sync_to_async

from ..models import OutboxRow
from ..publishing import outbox_records
from ..publishing.outbox_records import OutboxRecord

_lookers: "WeakSet[Looker]" = WeakSet()


class Looker:
    """Sees each outbox row once; ``deliver`` is called by ``sequence_now`` while it is open."""

    def __init__(self, deliver: Callable[[], None]) -> None:
        self.deliver = deliver
        self._seen: set[int] = set()

    def open(self) -> None:
        """Ignore the outbox rows that exist already."""
        self._seen.update(_ids())
        _lookers.add(self)

    def close(self) -> None:
        _lookers.discard(self)

    def look(self) -> list[OutboxRecord]:
        """Return the rows that are new, oldest first."""
        new = sorted(set(_ids()) - self._seen)
        self._seen.update(new)
        return outbox_records.read_these(new)


def _ids() -> "list[int]":
    return list(OutboxRow.objects.values_list("id", flat=True))


def sequence_now() -> None:
    """Sequence everything that the test's connection sees, and deliver it to all open clients of this process."""
    for looker in list(_lookers):
        looker.deliver()


async def asequence_now() -> None:
    """Do the same in an asynchronous test."""
    await sync_to_async(sequence_now)()
