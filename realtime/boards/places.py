"""Places of entries on their board: a position between those of the neighbours, so that a move is one write."""

from dataclasses import dataclass

from django.db.models import Case, When

from .models import Board, Entry

GAP = 10
MAX_POSITION = 2**30
"""Half of the largest value of the column on PostgreSQL."""


@dataclass(frozen=True, slots=True)
class Places:
    """Free positions, and the entries that were renumbered to make room: their old and new positions by key."""

    positions: list[int]
    renumbered: dict[int, tuple[int, int]]


class NoSuchPlace(LookupError):
    """The entries beside which a place was requested are no longer on the board."""


def between(before: int | None, after: int | None, count: int) -> list[int] | None:
    """Return positions between two others, evenly apart; None if there is no room. None as bound is no bound."""
    if before is None and after is None:
        before = 0
    if after is None:
        assert before is not None
        found = [before + GAP * number for number in range(1, count + 1)]
    elif before is None:
        found = [after - GAP * number for number in range(count, 0, -1)]
    else:
        step = (after - before) // (count + 1)
        found = [before + step * number for number in range(1, count + 1)] if step else []
    return found if found and max(map(abs, found)) <= MAX_POSITION else None


def make_room(
    board: Board, after: int | None, before: int | None, count: int = 1, moved: int | None = None
) -> Places:
    """Return positions after the entry ``after``, or if it was deleted before ``before``; without both, at the end.

    The entry ``moved`` is about to leave its place. Entries are renumbered only if there is no room. The caller holds
    the board's lock (``lock_board``), so that moves and additions happen one after the other.
    Raises: NoSuchPlace, if both were deleted.
    """
    rows = list(board.entries.exclude(pk=moved or 0).values_list("pk", "position"))
    keys = [key for key, _ in rows]
    if after is None and before is None:
        place = len(rows)
    elif after in keys:
        place = keys.index(after) + 1
    elif before in keys:
        place = keys.index(before)
    else:
        raise NoSuchPlace("the entries beside it were deleted or moved to another board")
    previous = rows[place - 1][1] if place > 0 else None
    following = rows[place][1] if place < len(rows) else None
    free = between(previous, following, count)
    if free is not None:
        return Places(free, {})
    free = [GAP * (place + number) for number in range(1, count + 1)]
    wanted = [GAP * (number if number <= place else number + count) for number in range(1, len(rows) + 1)]
    changed = {key: (old, new) for (key, old), new in zip(rows, wanted, strict=True) if old != new}
    Entry.objects.filter(pk__in=changed).update(
        position=Case(*(When(pk=key, then=new) for key, (_, new) in changed.items()), default="position")
    )
    return Places(free, changed)


def lock_board(key: int) -> Board | None:
    """Return a board, locked until the transaction ends; None if there is none."""
    return Board.objects.select_for_update().filter(pk=key).first()
