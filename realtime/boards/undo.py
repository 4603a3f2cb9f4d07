"""Changes of rows as old and new values, and their undoing: field by field, without fields that were changed later."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core import signing
from django.db import models, transaction
from django.utils.translation import gettext as _

from . import board_values
from .board_values import is_board, key_of
from .models import NOTED, Board, Entry

SALT = "realtime.boards.undo"
Values = dict[str, str | None]


@dataclass(frozen=True, slots=True)
class Step:
    """A change of one entry, or of a board itself (``board_values.key_of``): the changed values before and after.

    ``before`` is None if the row did not exist, ``after`` if it was deleted; the other one then has all fields.
    """

    key: int
    before: Values | None
    after: Values | None

    @property
    def reversed(self) -> "Step":
        return Step(self.key, self.after, self.before)


def columns() -> list["models.Field[Any, Any]"]:
    """The fields of an entry that an undo restores: not the key, nor fields that saving sets."""
    return [field for field in Entry._meta.concrete_fields if field.name not in ("id", "updated", *NOTED)]


def values_of(entry: Entry, names: Iterable[str] | None = None) -> Values:
    """Return fields of an entry as text, as Django's serializers write them."""
    wanted = None if names is None else {*names}
    found: Values = {}
    for field in columns():
        if wanted is None or field.attname in wanted:
            is_null = field.value_from_object(entry) is None
            found[field.attname] = None if is_null else field.value_to_string(entry)
    return found


def assign(entry: Entry, values: Mapping[str, str | None]) -> list[str]:
    """Set fields to values that ``values_of`` has returned; return their names."""
    known = {field.attname: field for field in columns()}
    given = {name: value for name, value in values.items() if name in known}
    for name, value in given.items():
        setattr(entry, name, None if value is None else known[name].to_python(value))
    return [*given]


def sign(steps: Sequence[Step]) -> str:
    """Return steps as a signed text, which a client can keep but not change."""
    return signing.dumps([[step.key, step.before, step.after] for step in steps], salt=SALT, compress=True)


def signed(token: str) -> list[Step]:
    """Return the steps of a text.

    Raises: signing.BadSignature.
    """
    return [Step(*parts) for parts in signing.loads(token, salt=SALT)]


@dataclass(frozen=True, slots=True)
class Reverted:
    """The result of an undo: the steps that were undone, and a text for each that was not."""

    done: list[Step]
    left: list[str]


def revert(steps: Iterable[Step]) -> Reverted:
    """Undo steps, the last one first, in one transaction.

    A value that was changed later stays, and is named; so is an added entry that was changed since.
    """
    done: list[Step] = []
    left: list[str] = []
    wanted = list(steps)[::-1]
    with transaction.atomic():
        keys = {step.key for step in wanted}
        own = {key_of(key) for key in keys if is_board(key)}
        boards = {
            board.pk: board for board in Board.objects.select_for_update().filter(pk__in=own).order_by("pk")
        }
        found = {
            entry.pk: entry for entry in Entry.objects.select_for_update().filter(pk__in=keys).order_by("pk")
        }
        for step in wanted:
            if is_board(step.key):
                made, words = _revert_board(step, boards.get(key_of(step.key)))
                left += words
                if made is not None:
                    done.append(made)
                continue
            entry = found.get(step.key)
            made, words = _revert(step, entry)
            left += words
            if made is not None:
                done.append(made)
                if made.after is None:
                    del found[step.key]
                elif made.before is None:
                    found[step.key] = Entry.objects.get(pk=step.key)
    return Reverted(done, left)


def _revert_board(step: Step, board: Board | None) -> tuple[Step | None, list[str]]:
    """Undo a change of a board itself; return the step that was taken, and texts for values that were not restored."""
    if board is None or step.before is None or step.after is None:
        return None, [_("a board is not made or deleted by an undo; the admin can do that")]
    was = board_values.values_of(board)
    written, left = board_values.go_back(board, step.before, step.after)
    if not written:
        return None, left
    return Step(
        step.key, {name: was.get(name) for name in written}, {name: step.before[name] for name in written}
    ), left


def _revert(step: Step, entry: Entry | None) -> tuple[Step | None, list[str]]:
    """Undo one step; return the steps that were taken, and texts for values that were not restored."""
    if step.after is None:
        assert step.before is not None
        name = step.before.get("label") or ""
        if entry is not None:
            return None, [_("“{name}” is already there again").format(name=entry)]
        entry = Entry(pk=step.key)
        assign(entry, step.before)
        if not Board.objects.filter(pk=entry.board_id).exists():
            return None, [_("“{name}” cannot be restored: its board was deleted").format(name=name)]
        entry.save(force_insert=True)
        return Step(step.key, None, step.before), []
    if entry is None:
        return None, (
            []
            if step.before is None
            else [_("“{name}” was deleted meanwhile").format(name=step.after.get("label", step.key))]
        )
    now = values_of(entry, step.after)
    if step.before is None:
        if now != step.after:
            return None, [_("“{name}” has changed since then, and was left as it is").format(name=entry)]
        entry.delete()
        return Step(step.key, now, None), []
    kept = {name for name in step.before if now.get(name) not in (step.after.get(name), step.before[name])}
    titles = {field.attname: str(field.verbose_name) for field in columns()}
    words = [
        _("“{name}”: {field} has become “{value}” since then, and was left as it is").format(
            name=entry, field=titles[name], value=now.get(name)
        )
        for name in sorted(kept)
    ]
    back = {name: value for name, value in step.before.items() if name not in kept and now.get(name) != value}
    if "board_id" in back and not Board.objects.filter(pk=int(back["board_id"] or 0)).exists():
        return None, [*words, _("“{name}” cannot go back to its board, which was deleted").format(name=entry)]
    if not back:
        return None, words
    was = values_of(entry, back)
    entry.save(update_fields=[*assign(entry, back), "updated"])
    return Step(step.key, was, back), words
