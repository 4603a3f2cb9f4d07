"""The plan of an import, entry by entry: the preview shows it, and the import then carries it out or refuses."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, MutableSequence, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

from django.db import models
from django.db.models import prefetch_related_objects
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop

from .. import history
from ..models import NOTED, RANKED_BY, Board, Entry
from ..times import NEVER_SHOWN
from ..undo import values_of
from .cells import plain
from .clock import comparable, days_in_words, time_in_words
from .columns import BY_FIELD, Fault, Row
from .models import Batch
from .order import arranged, rising

KINDS = {
    "new": gettext_noop("new"),
    "changed": gettext_noop("changed"),
    "moved": gettext_noop("moved"),
    "gone": gettext_noop("gone"),
    "renumbered": gettext_noop("renumbered"),
}


class Mode(models.TextChoices):
    """The treatment of entries that the table does not have."""

    UPDATE = "update", gettext_lazy("Add and update")
    REPLACE = "replace", gettext_lazy("Replace the board")


@dataclass(frozen=True)
class Item:
    """The change of one entry: its new values, and its position if that changes."""

    kind: Literal["new", "changed", "moved", "gone", "renumbered"]
    entry: Entry | None
    row: Row | None
    values: Mapping[str, Any]
    position: int | None = None
    board: Board | None = None

    @property
    def word(self) -> str:
        return _(KINDS[self.kind])

    @property
    def label(self) -> str:
        return str(self.entry or (self.row and self.row.label) or "")

    @property
    def line(self) -> int | None:
        return self.row.line if self.row else None

    def words_of(self, name: str, value: Any) -> str:
        return in_words(name, value, self.board or (self.entry.board if self.entry else None))

    @property
    def changes(self) -> list[tuple[str, str, str]]:
        """Heading, old and new value of each field that changes; of a deleted entry, its values."""
        if self.kind == "gone":
            shown = [
                (name, self.words_of(name, getattr(self.entry, name)), "")
                for name in ("value", "status", "note")
            ]
        else:
            shown = [
                (name, self.words_of(name, getattr(self.entry, name, "")), self.words_of(name, value))
                for name, value in self.values.items()
                if self.entry is not None or name != "label"
            ]
        return [(BY_FIELD[name].heading, was, now) for name, was, now in shown if was != now]

    @cached_property
    def mark(self) -> str:
        """A short digest of the change, and of the values before it. Positions are not part of it."""
        names = BY_FIELD if self.kind == "gone" else self.values
        before = [getattr(self.entry, name, None) for name in names]
        told = [self.kind, self.entry and self.entry.pk, before, [*self.values.items()]]
        return hashlib.sha256(json.dumps(told, default=str).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Plan:
    """The changes of an import, in the order of the table, followed by the entries that it deletes."""

    items: list[Item]
    unchanged: int
    faults: list[Fault]
    renumbered: list[Item]

    @property
    def seen(self) -> str:
        """The contents of a preview, to compare with the changes that an import would make later."""
        return " ".join(sorted(item.mark for item in self.items))

    def count(self, kind: str) -> int:
        return sum(item.kind == kind for item in self.items)

    @property
    def summary(self) -> str:
        """The numbers as a text: ``3 new, 5 changed, 1 gone``."""
        counts = [(self.count(kind), _(KINDS[kind])) for kind in ("new", "changed", "moved", "gone")]
        return ", ".join(f"{count} {word}" for count, word in counts if count) or _("nothing to change")


def plan(entries: Sequence[Entry], rows: Sequence[Row], mode: str) -> Plan:
    """Return the plan that gives the entries of a board the values of the rows.

    ``entries`` are all of the board, in its order. A row belongs to the entry of the same name; if several have this
    name, to the first with the same values, otherwise to the next one.
    """
    found, faults = matched(entries, rows, mode)
    if mode == Mode.REPLACE:
        wanted: list[tuple[Entry | None, Row | None]] = [*zip(found, rows, strict=True)]
    else:
        row_of = {entry.pk: row for entry, row in zip(found, rows, strict=True) if entry}
        wanted = [(entry, row_of.get(entry.pk)) for entry in entries]
        wanted += [(None, row) for entry, row in zip(found, rows, strict=True) if not entry]
    places = [(entry.position, entry.pk) if entry else None for entry, _ in wanted]
    in_order = {*rising(places)}
    items: list[Item] = []
    renumbered: list[Item] = []
    unchanged = 0
    for number, ((entry, row), position) in enumerate(zip(wanted, arranged(places), strict=True)):
        values = differing(entry, row) if row else {}
        other = position if entry is None or entry.position != position else None
        if row and is_never_shown(entry, values):
            faults.append(Fault(row.line, BY_FIELD["shows_until"].heading, str(NEVER_SHOWN)))
        if entry is None:
            items.append(Item("new", None, row, values, other))
        elif values:
            items.append(Item("changed", entry, row, values, other))
        elif other is not None and number not in in_order:
            items.append(Item("moved", entry, row, {}, other))
        else:
            unchanged += row is not None
            if other is not None:
                renumbered.append(Item("renumbered", entry, row, {}, other))
    remaining = {entry.pk for entry, _ in wanted if entry}
    items += [Item("gone", entry, None, {}) for entry in entries if entry.pk not in remaining]
    return Plan(items, unchanged, faults, renumbered)


def matched(
    entries: Sequence[Entry], rows: Sequence[Row], mode: str
) -> tuple[list[Entry | None], list[Fault]]:
    """Return the entry of each row, None for a new one, and the rows for which this is ambiguous."""
    entries_of: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        entries_of[plain(entry.label)].append(entry)
    rows_of: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        rows_of[row.label].append(number)
    found: list[Entry | None] = [None] * len(rows)
    faults = []
    for label, numbers in rows_of.items():
        candidates = entries_of.get(label, [])
        if mode != Mode.REPLACE and candidates and len(candidates) != len(numbers):
            faults += [
                Fault(
                    rows[number].line,
                    BY_FIELD["label"].heading,
                    _(
                        "“{label}” is {on_board} on the board and {in_table} in the table, so it "
                        "is unclear which is meant. Make the names differ, or choose “Replace the board”."
                    ).format(label=label, on_board=times(len(candidates)), in_table=times(len(numbers))),
                )
                for number in numbers
            ]
            continue
        pair_equal(candidates, {number: rows[number] for number in numbers}, found)
        paired = {same.pk for same in (found[number] for number in numbers) if same}
        free = [entry for entry in candidates if entry.pk not in paired]
        waiting = [number for number in numbers if found[number] is None]
        for number, entry in zip(waiting, free, strict=False):
            found[number] = entry
    return found, faults


def is_never_shown(entry: Entry | None, values: Mapping[str, Any]) -> bool:
    """Return whether an entry with these values would end before it begins."""
    begins, ends = (values.get(name, getattr(entry, name, None)) for name in ("shows_from", "shows_until"))
    is_changed = not {"shows_from", "shows_until"}.isdisjoint(values)
    return bool(is_changed and begins and ends and ends <= begins)


def pair_equal(
    entries: Sequence[Entry], rows: Mapping[int, Row], found: MutableSequence[Entry | None]
) -> None:
    """Set in ``found`` the first entry that has the values of each row; each entry is used once."""
    by_values: dict[tuple[str, ...], dict[tuple[Any, ...], list[Entry]]] = {}
    paired: set[int] = set()
    for number, row in rows.items():
        names = tuple(row.values)
        if names not in by_values:
            by_values[names] = defaultdict(list)
            for entry in reversed(entries):
                by_values[names][tuple(held(entry, name) for name in names)].append(entry)
        alike = by_values[names].get(tuple(comparable(name, value) for name, value in row.values.items()), [])
        while alike and found[number] is None:
            same = alike.pop()
            if same.pk not in paired:
                found[number] = same
                paired.add(same.pk)


def times(count: int) -> str:
    return {1: _("once"), 2: _("twice")}.get(count, _("{number} times").format(number=count))


def differing(entry: Entry | None, row: Row) -> dict[str, Any]:
    """Return the values of a row that an entry does not have; texts that differ only in blanks count as equal."""
    if entry is None:
        return row.values
    return {name: value for name, value in row.values.items() if held(entry, name) != comparable(name, value)}


def held(entry: Entry, name: str) -> Any:
    """Return a value of an entry in the form that a table can have."""
    now = getattr(entry, name)
    return comparable(name, plain(now) if isinstance(now, str) else now)


def in_words(field: str, value: Any, board: Board | None) -> str:
    """Return a value as a board and an export show it: a status by its word, a time by the clock of its zone.

    Without a board these are the standard words, and a time is shown in its own zone.
    """
    if value is None:
        return ""
    if isinstance(value, datetime):
        return time_in_words(value, board.zone if board else value.tzinfo)
    if field == "weekdays":
        return days_in_words(value)
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if field == "status" and value:
        return (board or Board()).word_of(value)
    return str(value)


def locked_entries(board: Board) -> list[Entry]:
    """Return all entries of a board, in its order, locked until the transaction ends."""
    locked = board.entries.select_for_update().order_by("pk")
    return sorted(locked, key=lambda entry: (entry.position, entry.pk))


def carry_out(planned: Plan, board: Board, actor: Any, source: str) -> Batch | None:
    """Write a plan that was made of ``locked_entries``, in the same transaction, and record it as one change.

    Only differences are written. Returns None if nothing was written, or if there is no history.
    """
    prefetch_related_objects([board], "statuses")
    known = [(item, item.entry) for item in [*planned.items, *planned.renumbered] if item.entry]
    before: history.States = {entry.pk: values_of(entry) for _, entry in known}
    Entry.objects.filter(pk__in=[entry.pk for item, entry in known if item.kind == "gone"]).delete()
    now = timezone.now()
    written: list[Entry] = []
    fields: set[str] = set()
    for item, entry in known:
        # The time of the change is that of the content, as for a move on the board.
        names = [*item.values, "updated"] if item.values else []
        for name, value in item.values.items():
            setattr(entry, name, value)
        if item.values:
            entry.updated = now
        if item.position is not None:
            entry.position = item.position
            names.append("position")
        if not RANKED_BY.isdisjoint(names):
            entry.note_times(now)
            names += NOTED
        if names:
            written.append(entry)
            fields |= {*names}
    if written:
        Entry.objects.bulk_update(written, sorted(fields))
    new = [
        Entry(board=board, position=item.position or 0, **item.values)
        for item in planned.items
        if item.kind == "new"
    ]
    for entry in new:
        entry.note_times(now)
    Entry.objects.bulk_create(new)
    before |= dict.fromkeys(entry.pk for entry in new)
    summary = f"{source}: {planned.summary}"[:300]
    return history.record(actor, before, batch=Batch(board=board.pk, actor=actor, summary=summary))
