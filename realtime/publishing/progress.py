"""How far the outbox has been sequenced: the ``Sequencer`` row, read and written here and in ``lease.py`` only.

Every round of sequencing reads and moves it, so the queries are SQL: the ORM compiles a query anew each time, which
is slower than the query itself.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db.models.functions import Now

from ..databases.outbox import OutboxCursor
from ..databases.registry import database
from ..models import Sequencer

LONGEST_PAUSE = timedelta(hours=1)
"""A pause of capture that lasts longer than this is over: the clock was set back since."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the outbox has been sequenced in this life of the log.

    Units: ``edge`` is an offset: the log holds every entry after it.
    """

    epoch: str
    origin: str
    cursor: OutboxCursor
    edge: int


def read(*, lock: bool = False) -> Progress | None:
    """Return the progress, None before the log has begun.

    ``lock``: keep the row locked until the transaction ends, where the database locks rows.
    """
    here = database()
    for_update = " FOR UPDATE" if lock and here.connection.features.has_select_for_update else ""
    found = here.fetch(
        f"SELECT epoch, origin, next, open, edge FROM realtime_sequencer WHERE id = %s{for_update}",
        [Sequencer.ROW],
    )
    if not found:
        return None
    epoch, origin, next, open, edge = found[0]
    return Progress(epoch, origin, OutboxCursor(next, tuple(json.loads(open))), edge)


def begin(epoch: str, origin: str, cursor: OutboxCursor) -> None:
    """Begin a life of the log in which everything up to the cursor counts as sequenced."""
    Sequencer.objects.update_or_create(
        pk=Sequencer.ROW,
        defaults={
            "epoch": epoch,
            "origin": origin,
            "next": cursor.next,
            "open": list(cursor.open),
            "edge": cursor.offset,
        },
    )


def advance(progress: Progress, until: OutboxCursor) -> bool:
    """Move the stored cursor if it still is the one in ``progress``; return whether it was.

    The row stays locked until the transaction ends: a second process waits, and then finds the cursor moved.
    """
    with database().connection.cursor() as cursor:
        cursor.execute(
            "UPDATE realtime_sequencer SET next = %s, open = %s, sequenced_at = CURRENT_TIMESTAMP "
            "WHERE id = %s AND epoch = %s AND next = %s AND open = %s",
            [
                until.next,
                _as_json(until.open),
                Sequencer.ROW,
                progress.epoch,
                progress.cursor.next,
                _as_json(progress.cursor.open),
            ],
        )
        return bool(cursor.rowcount == 1)


def note_success() -> None:
    """Note that sequencing works although there was nothing to sequence."""
    Sequencer.objects.filter(pk=Sequencer.ROW).update(sequenced_at=Now())


def seconds_since_success() -> float | None:
    """Return how long ago, by the database's clock, any process last sequenced or found nothing to sequence.

    None before the first time. A moment that lies ahead, because the clock was set back since, shows as little that
    sequencing works now as one that is long ago.
    """
    row = Sequencer.objects.filter(pk=Sequencer.ROW).annotate(now=Now())
    now, then = row.values_list("now", "sequenced_at").first() or (None, None)
    return None if then is None or now is None else abs((now - then).total_seconds())


def move_edge(epoch: str, edge: int) -> bool:
    """Store that entries up to an offset may have been pruned; return whether the epoch was still that one."""
    row = Sequencer.objects.filter(pk=Sequencer.ROW, epoch=epoch, edge__lt=edge)
    return bool(row.update(edge=edge))


def pause_capture(duration: timedelta | None) -> None:
    """Have processes leave triggers alone for that long, because a migration has dropped some; None ends it."""
    until = None if duration is None else Now() + duration
    Sequencer.objects.filter(pk=Sequencer.ROW).update(capture_paused_until=until)


def is_capture_paused() -> bool:
    """Return whether a migration under way installs the triggers itself that it has dropped."""
    row = Sequencer.objects.filter(pk=Sequencer.ROW, capture_paused_until__gt=Now())
    return row.filter(capture_paused_until__lte=Now() + LONGEST_PAUSE).exists()


def _as_json(open: Sequence[int]) -> str:
    """Return transaction numbers as Django's JSONField writes them, which SQLite compares as text."""
    return json.dumps(list(open))
