"""Due entries: visibility and position change with time, and are written when they do, so that pages follow.

Saving an entry writes it. ``write_due``, which a periodic job calls, checks the entries whose time has come, however
late the job is, and those that SQL has inserted; several processes may do so at once. Times that SQL has changed are
found by ``Sweep``, and where the history is on by ``renew_entry``, which is called for each change.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from django.db import DatabaseError, transaction
from django.db.models import Case, Q, QuerySet, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from realtime.changes import Change

from .models import NOTED, TIMELESS, Board, Entry, Sorting, Status
from .own_statuses import BoardStatus, overlooked, severity

logger = logging.getLogger("realtime.boards")

BATCH = 200
IS_SHOWN = Q(is_visible=True) & (Q(is_due=True) | Q(is_due=None, shows_from=None, weekdays=""))
"""Which entries pages show. An entry that a program has written is shown only after its times were checked."""
HAS_TIMES = ~Q(at=None, shows_from=None, shows_until=None, weekdays="")
TIMES = ["at", "shows_from", "shows_until", "weekdays", "is_due", "next_change"]


def has_times(board: Board) -> bool:
    """Return whether pages of a board show how soon its entries are due, or may have to while they are open."""
    return (
        board.sorting == Sorting.TIME
        or board.hides_after is not None
        or board.entries.filter(at__isnull=False).exists()
    )


def write_due() -> int:
    """Bring the entries up to date whose time has come; return how many were checked."""
    now = timezone.now()
    late = Entry.objects.filter(next_change__lte=now).order_by("next_change")
    unseen = Entry.objects.filter(HAS_TIMES, is_due=None)
    keys = [key for entries in (late, unseen, *misplaced()) for key in entries.values_list("pk", flat=True)]
    keys = [*dict.fromkeys([*keys, *sweep.next(now)])]
    for start in range(0, len(keys), BATCH):
        by_parts(lambda part: renew(part, now), keys[start : start + BATCH], hide)
    return len(keys)


def misplaced() -> list[QuerySet[Entry]]:
    """Return the entries whose rank is not that of their board's order, as far as a query can find them.

    It finds them after the order of a board, a status or the look of one was changed, and new ones. A query cannot
    compute the rank of a time: changed times are found by ``Sweep``.
    """
    standard = Case(
        *(When(status=status, then=place) for place, status in enumerate(Status.values)), default=0
    )
    by_status = -Coalesce(severity(), standard)
    is_misplaced = Q(board__sorting=Sorting.STATUS) & ~Q(rank=by_status) | Q(board__sorting=Sorting.TIME) & (
        Q(rank__lte=0) | Q(at=None) & ~Q(rank=TIMELESS)
    )
    sorted_boards = Board.objects.exclude(sorting=Sorting.HAND).values("pk")
    return [
        Entry.objects.filter(IS_SHOWN, is_misplaced, board__in=sorted_boards),
        Entry.objects.exclude(rank=0).filter(board__sorting=Sorting.HAND),
        Entry.objects.filter(overlooked()),
    ]


def with_boards(entries: "QuerySet[Entry]") -> list[Entry]:
    """Return entries with what their times, ranks and looks follow from: their boards, and the statuses of these.

    Entries of one board share it, so that its statuses are found once. Those whose board is gone are left out: SQLite
    checks foreign keys only for programs that request it. Not by a prefetch, which would leave boards and statuses in a
    circle of references: a job calls this for as long as the server runs.
    """
    read = [*entries]
    boards = Board.objects.in_bulk({entry.board_id for entry in read})
    found = [entry for entry in read if entry.board_id in boards]
    statuses: dict[int, list[BoardStatus]] = {key: [] for key in boards}
    for status in BoardStatus.objects.filter(board__in=boards):
        statuses[status.board_id].append(status)
    for entry in found:
        entry.board = boards[entry.board_id]
        entry.board.read_statuses = statuses[entry.board_id]
    return found


class Sweep:
    """Checks all entries, some at each call, in the order of their keys."""

    after = 0

    def next(self, now: datetime) -> list[int]:
        """Return those of the next entries whose columns do not match their times any more."""
        rows = Entry.objects.filter(pk__gt=self.after).order_by("pk")
        keys = [*rows.values_list("pk", flat=True)[:BATCH]]
        self.after = keys[-1] if len(keys) == BATCH else 0
        found: list[int] = []

        def look(part: Sequence[int]) -> None:
            entries = with_boards(Entry.objects.filter(pk__in=part))
            found.extend([entry.pk for entry in entries if entry.note_times(now)])

        by_parts(look, keys, lambda key, _: found.extend(not_hidden(key).values_list("pk", flat=True)))
        return found


sweep = Sweep()


def by_parts(
    act: Callable[[Sequence[int]], object],
    keys: Sequence[int],
    when_unreadable: Callable[[int, Exception], object],
) -> None:
    """Call ``act`` for entries; if it cannot read one, call it for smaller parts, so that all others are handled."""
    try:
        act(keys)
    except (DatabaseError, ValueError, OverflowError) as error:
        if len(keys) == 1:
            when_unreadable(keys[0], error)
        else:
            half = len(keys) // 2
            by_parts(act, keys[:half], when_unreadable)
            by_parts(act, keys[half:], when_unreadable)


def renew(keys: Sequence[int], now: datetime) -> int:
    """Bring entries up to date; return how many have changed."""
    with transaction.atomic():
        locked = Entry.objects.select_for_update(of=["self"]).filter(pk__in=keys).order_by("pk")
        changed = [entry for entry in with_boards(locked) if entry.note_times(now)]
        Entry.objects.bulk_update(changed, NOTED)
    return len(changed)


def not_hidden(key: int) -> QuerySet[Entry]:
    """Return an entry unless ``hide`` has hidden it, or its time is over, which looks the same."""
    return Entry.objects.filter(pk=key).exclude(is_due=False, next_change=None)


def hide(key: int, error: Exception) -> None:
    """Hide an entry whose times cannot be read, and log that, unless it is hidden already."""
    shown = not_hidden(key)
    # Read first: on SQLite even a statement that writes nothing makes other writers wait.
    if shown.exists() and shown.update(is_due=False, next_change=None):
        logger.error("entry %s is hidden, because its times cannot be read (%s); correct them", key, error)


def renew_entry(change: Change) -> None:
    """Bring an entry up to date that has changed, by any writer."""
    if change.values and any(change.values[name] not in (None, "") for name in TIMES):
        now = timezone.now()
        by_parts(lambda part: renew(part, now), [int(change.key)], hide)
