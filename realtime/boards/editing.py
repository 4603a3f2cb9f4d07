"""Editing on the board itself: the actions that its page calls, for users with the rights of the admin.

Each call contains the values that its editor has seen. Where they have changed since, nothing is written and the answer
has the present value, so that the editor can choose. Each answer contains the steps that undo it, signed.
"""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from functools import wraps
from itertools import chain
from typing import Any

from django import forms
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.core import signing
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import prefetch_related_objects
from django.utils import translation
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from realtime.actions import ActionRefused, action
from realtime.conf import get_conf
from realtime.databases.base import is_storable
from realtime.engine.codes import Code

from .exchange.columns import known_statuses
from .history import States, record, states
from .languages import language_named
from .models import Board, Entry
from .places import NoSuchPlace, Places, lock_board, make_room
from .time_fields import WeekdaysField, ZonedTimeField, as_shown
from .times import NEVER_SHOWN, is_never
from .undo import Step, revert, sign, signed, values_of

FIELDS = ["label", "value", "unit", "status", "note"]
"""The fields that an editor writes on the board, in the order of its columns."""
TIMES: dict[str, forms.Field] = {
    "at": ZonedTimeField(required=False),
    "shows_from": ZonedTimeField(required=False),
    "shows_until": ZonedTimeField(required=False),
    "weekdays": WeekdaysField(required=False),
}
"""Further fields that an editor writes, as text: times by the clock of the board, days of the week by their numbers."""
RIGHTS = {"add": gettext_lazy("add"), "delete": gettext_lazy("delete")}
ORDERED = frozenset({"shows_from", "shows_until"})
MAX_ROWS = 500
CALL_BYTES = 512
"""The largest number of bytes that a call of ``entries.undo`` has in addition to its token."""


Act = Callable[[Any, dict[str, Any]], dict[str, Any]]


def may(*verbs: str) -> Callable[[Any], bool]:
    """Return a permission for active staff with one of Django's rights to entries, as in the admin."""

    def permission(user: Any) -> bool:
        return bool(
            user.is_active
            and getattr(user, "is_staff", False)
            and user.has_perms([f"boards.{verb}_entry" for verb in verbs])
        )

    return permission


class ValuesField(forms.Field):
    """Texts by the fields of an entry."""

    def __init__(self, names: Iterable[str] = FIELDS) -> None:
        super().__init__(required=False)
        self.names = [*names]

    def to_python(self, value: Any) -> Any:
        given = {} if value is None else value
        if not isinstance(given, dict) or not all(
            name in self.names and isinstance(text, str) and is_storable(text) for name, text in given.items()
        ):
            raise ValidationError(
                f"Send an object whose values are texts; its names can be {', '.join(self.names)}."
            )
        return given


class EditorsForm(forms.Form):
    """The arguments of a call; an error of it is in the language of the page."""

    language = forms.CharField(required=False, max_length=20)


def in_their_language(function: Act) -> Act:
    """Return an action that runs in the language of its caller's page: a connection has no language."""

    @wraps(function)
    def act(user: Any, data: dict[str, Any]) -> dict[str, Any]:
        with translation.override(language_named(data["language"])):
            return function(user, data)

    return act


class SetForm(EditorsForm):
    entry = forms.IntegerField()
    changes = ValuesField([*FIELDS, *TIMES])
    seen = ValuesField([*FIELDS, *TIMES])


class EntryForm(EditorsForm):
    entry = forms.IntegerField()


class MoveForm(EditorsForm):
    entry = forms.IntegerField()
    after = forms.IntegerField(required=False)
    before = forms.IntegerField(required=False)


class AddForm(EditorsForm):
    board = forms.IntegerField()
    after = forms.IntegerField(required=False)
    before = forms.IntegerField(required=False)
    values = ValuesField()
    table = forms.CharField(required=False, strip=False)


class DeleteForm(EditorsForm):
    entry = forms.IntegerField()
    seen = ValuesField()


class UndoForm(EditorsForm):
    token = forms.CharField(strip=False)


@action("entries.set", form=SetForm, permission=may("change"))
@in_their_language
def set_values(user: Any, data: dict[str, Any]) -> dict[str, Any]:
    """Write values of an entry; if the editor has not seen one as it is now, return the present ones instead."""
    changes = {name: text.strip() for name, text in data["changes"].items()}
    with transaction.atomic():
        entry = Entry.objects.select_for_update().filter(pk=data["entry"]).first()
        if entry is None:
            return {"gone": True}
        conflict = differing(entry, data["seen"], {**data["seen"], **changes})
        if conflict:
            return {"conflict": conflict}
        changes = {name: text for name, text in changes.items() if text_of(entry, name) != text}
        if not changes:
            return {"undo": None}
        was, before = states([entry.pk]), values_of(entry, changes)
        validate(entry, changes)
        entry.save(update_fields=[*changes, "updated"])
        record(user, was)
        remember(user, [entry], CHANGE, [{"changed": {"fields": [*changes]}}])
    return undoable([Step(entry.pk, before, values_of(entry, changes))])


@action("entries.times", form=EntryForm, permission=may("change"))
@in_their_language
def times(user: Any, data: dict[str, Any]) -> dict[str, Any]:
    """Return the times of an entry as an editor enters them, and the time zone in which they are given."""
    entry = Entry.objects.select_related("board").filter(pk=data["entry"]).first()
    if entry is None:
        return {"gone": True}
    values = {name: text_of(entry, name) for name in TIMES}
    return {"label": entry.label, "zone": entry.board.zone.key, "values": values}


@action("entries.move", form=MoveForm, permission=may("change"))
@in_their_language
def move(user: Any, data: dict[str, Any]) -> dict[str, Any]:
    """Move an entry after or before another one of its board: one write, unless there is no number between the two."""
    with transaction.atomic():
        found = Entry.objects.filter(pk=data["entry"]).first()
        board = found and lock_board(found.board_id)
        entry = board and board.entries.select_for_update().filter(pk=data["entry"]).first()
        if not board or not entry:
            return {"gone": True}
        places = room(board, data, moved=entry.pk)
        was = states([entry.pk]) | states_before(places)
        before = values_of(entry, ["position"])
        entry.position = places.positions[0]
        # Without the time of the change, which is that of the content.
        entry.save(update_fields=["position"])
        record(user, was, made_room=places.renumbered)
        remember(user, [entry], CHANGE, [{"changed": {"fields": ["position"]}}])
    return undoable([*renumbering(places), Step(entry.pk, before, values_of(entry, ["position"]))])


@action("entries.add", form=AddForm, permission=may("add"))
@in_their_language
def add(user: Any, data: dict[str, Any]) -> dict[str, Any]:
    """Add one entry, or the rows of a table that was copied from a spreadsheet, all or none of them."""
    with transaction.atomic():
        board = lock_board(data["board"])
        if board is None:
            return {"gone": True}
        prefetch_related_objects([board], "statuses")
        rows = parsed(data["table"], board) if data["table"] else [data["values"]]
        places = room(board, data, count=len(rows))
        entries = []
        for number, (row, position) in enumerate(zip(rows, places.positions, strict=True), start=1):
            entry = Entry(board=board, position=position)
            texts = {"label": ""} | {name: text.strip() for name, text in row.items()}
            validate(entry, texts, _("Row {number}: ").format(number=number) if len(rows) > 1 else "")
            entry.save(force_insert=True)
            entries.append(entry)
        was = dict.fromkeys((entry.pk for entry in entries), None) | states_before(places)
        record(user, was, made_room=places.renumbered)
        remember(user, entries, ADDITION, [{"added": {}}])
    steps = [*renumbering(places), *(Step(entry.pk, None, values_of(entry)) for entry in entries)]
    return undoable(steps) | {"keys": [str(entry.pk) for entry in entries]}


@action("entries.delete", form=DeleteForm, permission=may("delete"))
@in_their_language
def delete(user: Any, data: dict[str, Any]) -> dict[str, Any]:
    """Delete an entry, if it has the values that the editor has seen."""
    with transaction.atomic():
        entry = Entry.objects.select_for_update().filter(pk=data["entry"]).first()
        if entry is None:
            return {"gone": True}
        conflict = differing(entry, data["seen"], data["seen"])
        if conflict:
            return {"conflict": conflict}
        was, step = states([entry.pk]), Step(entry.pk, values_of(entry), None)
        remember(user, [entry], DELETION, "")
        entry.delete()
        record(user, was)
    return undoable([step])


@action("entries.undo", form=UndoForm, permission=may("change"))
@in_their_language
def undo(user: Any, data: dict[str, Any]) -> dict[str, Any]:
    """Undo the steps of an earlier answer, field by field; values that were changed since stay, and are named."""
    try:
        steps = signed(data["token"])
    except signing.BadSignature as error:
        raise ActionRefused(
            Code.BAD_MESSAGE, _("this can no longer be undone; load the page again")
        ) from error
    needed = {"delete" for step in steps if step.before is None} | {
        "add" for step in steps if step.after is None
    }
    if not may(*needed)(user):
        raise ActionRefused(
            Code.FORBIDDEN,
            _("undoing this requires the right to {rights} entries").format(
                rights=get_text_list([str(RIGHTS[each]) for each in sorted(needed)], _("and"))
            ),
        )
    with transaction.atomic():
        was = states({step.key for step in steps})
        reverted = revert(steps)
        record(user, was, made_room=[step.key for step in steps[:-1] if step.before and step.after])
        written = Entry.objects.filter(pk__in=[step.key for step in reverted.done])
        remember(user, list(written), CHANGE, "Undone on the board.")
    # In the order of the steps: the renumbering that made room comes before the move.
    return (undoable(reverted.done[::-1]) if reverted.done else {"undo": None}) | {"left": reverted.left}


def undoable(steps: Sequence[Step]) -> dict[str, Any]:
    """Return a token that undoes the steps; ``is_too_large`` instead if a call could not contain it."""
    token = sign(steps)
    if len(token) + CALL_BYTES > get_conf().max_message_bytes:
        return {"undo": None, "is_too_large": True}
    return {"undo": token}


def differing(entry: Entry, seen: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """Return the present values that are neither the ones that the editor has seen nor the ones to be written."""
    return {
        name: text_of(entry, name)
        for name, text in seen.items()
        if text_of(entry, name) not in (text, wanted.get(name))
    }


def text_of(entry: Entry, name: str) -> str:
    """Return a value of an entry as an editor sees and enters it."""
    value = getattr(entry, name)
    return as_shown(value, entry.board.zone) if isinstance(TIMES.get(name), ZonedTimeField) else str(value)


def value_of(entry: Entry, name: str, text: str) -> Any:
    """Return an editor's input as a value of the model.

    Raises: ValidationError.
    """
    field = copy(TIMES.get(name))
    if isinstance(field, WeekdaysField):
        return field.clean([*text])
    if isinstance(field, ZonedTimeField):
        field.zone = entry.board.zone
        return field.clean(text)
    return Entry._meta.get_field(name).clean(text, entry)  # type: ignore[union-attr]


def validate(entry: Entry, values: Mapping[str, str], prefix: str = "") -> None:
    """Set values of an entry.

    Raises: ActionRefused, with words by field, if the model does not accept them.
    """
    faults: dict[str, list[str]] = {}
    for name, text in values.items():
        try:
            setattr(entry, name, value_of(entry, name, text))
        except ValidationError as error:
            faults[name] = error.messages
    is_timed = not faults and not ORDERED.isdisjoint(values)
    if is_timed and is_never(entry.shows_from, entry.shows_until):
        faults["shows_until"] = [str(NEVER_SHOWN)]
    if faults:
        words = " ".join(f"{name}: {' '.join(messages)}" for name, messages in faults.items())
        raise ActionRefused(Code.BAD_MESSAGE, f"{prefix}{words}", faults)


def parsed(table: str, board: Board) -> list[dict[str, str]]:
    """Return the rows of a table as spreadsheets copy it: tabs between cells, quotes around cells with line ends.

    Columns are label, value, status and note, as the board shows them; of five the third is the unit. A status is
    recognised by its word or its name; another text there is kept, in front of the note.
    Raises: ActionRefused, if it has no row or too many, or cannot be read as a table.
    """
    try:
        # A known last row: an unclosed quotation mark would make it part of a cell.
        *read, last = csv.reader(chain(io.StringIO(table, newline=""), ["\t"]), "excel-tab")
    except csv.Error as error:
        raise ActionRefused(
            Code.BAD_MESSAGE,
            _("this cannot be read as a table ({error}); copy the cells again").format(error=error),
        ) from error
    if last != ["", ""]:
        start = " ".join(last[0].split())[:40]
        raise ActionRefused(
            Code.BAD_MESSAGE,
            _("a quotation mark has no end, in the row that begins “{start}”; close or remove it").format(
                start=start
            ),
        )
    if not is_storable(table):
        raise ActionRefused(
            Code.BAD_MESSAGE, _("the table has characters that cannot be stored; remove them")
        )
    rows = [row for row in read if any(map(str.strip, row))]
    if not rows:
        raise ActionRefused(Code.BAD_MESSAGE, _("there is no row with text; copy the cells again"))
    if len(rows) > MAX_ROWS:
        raise ActionRefused(
            Code.BAD_MESSAGE,
            _("{number} rows are too many; paste at most {limit} at a time").format(
                number=len(rows), limit=MAX_ROWS
            ),
        )
    has_unit = max(map(len, rows)) >= len(FIELDS)
    names = FIELDS if has_unit else [name for name in FIELDS if name != "unit"]
    words = known_statuses(board)
    found = []
    for cells in rows:
        row = {name: " ".join(cell.split()) for name, cell in zip(names, cells, strict=False)}
        status = row.get("status", "")
        row["status"] = words.get(status.casefold(), "")
        if status and status.casefold() not in words:
            row["note"] = " · ".join(filter(None, [status, row.get("note", "")]))
        found.append(row)
    return found


def room(board: Board, data: Mapping[str, Any], count: int = 1, moved: int | None = None) -> Places:
    """Return free positions at the place that a call names.

    Raises: ActionRefused, if there is no such place.
    """
    try:
        return make_room(board, data["after"], data["before"], count, moved)
    except NoSuchPlace as error:
        raise ActionRefused(
            Code.NOT_FOUND,
            _("the entries beside it were deleted or moved to another board; choose another place"),
        ) from error


def renumbering(places: Places) -> list[Step]:
    """Return the renumbering that made room as steps, so that an undo reverts it too."""
    return [
        Step(key, {"position": str(old)}, {"position": str(new)})
        for key, (old, new) in places.renumbered.items()
    ]


def states_before(places: Places) -> States:
    """Return the values that the entries which made room had before that."""
    return {
        key: values and values | {"position": str(places.renumbered[key][0])}
        for key, values in states(places.renumbered).items()
    }


def remember(user: Any, entries: Sequence[Entry], flag: int, message: Any) -> None:
    """Add a line to the history of each entry, as the admin does."""
    LogEntry.objects.log_actions(user.pk, entries, flag, message)
