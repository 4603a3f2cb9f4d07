"""Entries that come and go by time, and are sorted by it: what changes is written, and pages follow it.

Saving an entry writes it. ``write_due``, which a periodic job calls, looks at the entries whose time has come, however
late that is, and at those that SQL has written; several processes may do so at once. What SQL has changed of times is
found by ``Sweep``, and where there is a history by ``renew_entry``, which is called for each change.
"""

import logging
from collections.abc import Collection
from datetime import datetime

from django.db import DatabaseError, transaction
from django.db.models import Q
from django.utils import timezone

from realtime.changes import Change

from .models import NOTED, Board, Entry, Sorting, rank

logger = logging.getLogger("realtime.boards")

BATCH = 200
IS_SHOWN = Q(is_visible=True) & (Q(is_due=True) | Q(is_due=None, shows_from=None, weekdays=""))
"""Which entries pages show. One that a program has written is not shown before its times were looked at."""
HAS_TIMES = ~Q(at=None, shows_from=None, shows_until=None, weekdays="")
TIMES = ["at", "shows_from", "shows_until", "weekdays", "is_due", "next_change"]


def write_due() -> int:
    """Bring the entries up to date whose time has come; return how many were looked at."""
    now = timezone.now()
    late = Entry.objects.filter(next_change__lte=now).order_by("next_change")
    unseen = Entry.objects.filter(HAS_TIMES, is_due=None)
    keys = [key for entries in (late, unseen) for key in entries.values_list("pk", flat=True)]
    keys += misplaced() + sweep.next(now)
    keys = [*dict.fromkeys(keys)]
    for start in range(0, len(keys), BATCH):
        batch = keys[start : start + BATCH]
        try:
            renew(batch, now)
        except (DatabaseError, ValueError, OverflowError):
            for key in batch:  # one that cannot be read keeps no other from its time
                renew_alone(key, now)
    return len(keys)


def misplaced() -> list[int]:
    """Return those of the shown entries that are not where their board's order has them: another wrote them, or it."""
    orders = dict(Board.objects.exclude(sorting=Sorting.HAND).values_list("pk", "sorting"))
    shown = Entry.objects.filter(IS_SHOWN, board__in=orders) if orders else Entry.objects.none()
    columns = shown.values_list("pk", "rank", "board", "at", "status")
    found = [key for key, place, board, at, status in columns if place != rank(orders[board], at, status)]
    moved_by_hand = Entry.objects.exclude(rank=0).filter(board__sorting=Sorting.HAND)
    return [*found, *moved_by_hand.values_list("pk", flat=True)]


class Sweep:
    """Looks at all entries, some at each turn, by their keys."""

    after = 0

    def next(self, now: datetime) -> list[int]:
        """Return those of the next entries of which something else follows now than is written."""
        rows = Entry.objects.filter(pk__gt=self.after).order_by("pk")
        keys = [*rows.values_list("pk", flat=True)[:BATCH]]
        self.after = keys[-1] if len(keys) == BATCH else 0
        entries = Entry.objects.filter(pk__in=keys).select_related("board")
        try:
            return [entry.pk for entry in entries if entry.note_times(now)]
        except (DatabaseError, ValueError, OverflowError):
            return []  # one cannot be read, which was logged


sweep = Sweep()


def renew(keys: Collection[int], now: datetime) -> int:
    """Bring entries up to date; return how many have changed."""
    with transaction.atomic():
        entries = Entry.objects.select_for_update(of=["self"]).select_related("board").order_by("pk")
        changed = [entry for entry in entries.filter(pk__in=keys) if entry.note_times(now)]
        Entry.objects.bulk_update(changed, NOTED)
    return len(changed)


def renew_alone(key: int, now: datetime) -> None:
    """Bring one entry up to date; if its times cannot be read, log that and hide it."""
    try:
        renew([key], now)
    except (DatabaseError, ValueError, OverflowError) as error:
        logger.error(
            "entry %s: it is hidden, because its times cannot be read (%s); write others", key, error
        )
        Entry.objects.filter(pk=key).update(is_due=False, next_change=None)


def renew_entry(change: Change) -> None:
    """Bring an entry up to date that has changed, by any writer."""
    if change.values and any(change.values[name] not in (None, "") for name in TIMES):
        renew_alone(int(change.key), timezone.now())
