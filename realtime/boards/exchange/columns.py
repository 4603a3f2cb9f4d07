"""The meaning of a table's columns: by headings in several languages, or without headings by their order."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.db.models import prefetch_related_objects
from django.utils.translation import gettext as _

from realtime.databases.base import is_storable

from ..models import Board, Entry, Status
from .cells import plain, unmarked
from .clock import days_of, time_of
from .reading import MAX_ROWS, Line, Unreadable


@dataclass(frozen=True, slots=True)
class Column:
    """A field of an entry as a table has it: the heading that exports write, and others that imports accept."""

    field: str
    heading: str
    words: tuple[str, ...]
    is_switch: bool = False
    is_time: bool = False


COLUMNS = [
    Column("label", "Label", ("name", "title", "entry", "bezeichnung", "titel", "eintrag")),
    Column("value", "Value", ("wert",)),
    Column("unit", "Unit", ("einheit",)),
    Column("status", "Status", ("state", "zustand")),
    Column(
        "note",
        "Note",
        ("notes", "remark", "remarks", "comment", "notiz", "bemerkung", "hinweis", "anmerkung"),
    ),
    Column("is_visible", "Visible", ("shown", "sichtbar", "is_visible"), is_switch=True),
    Column("is_pinned", "Pinned", ("angeheftet", "fixiert", "is_pinned"), is_switch=True),
    Column("at", "Time", ("at", "zeit", "uhrzeit", "zeitpunkt"), is_time=True),
    Column("shows_from", "Shown from", ("shows_from", "sichtbar ab"), is_time=True),
    Column("shows_until", "Shown until", ("shows_until", "sichtbar bis"), is_time=True),
    Column("weekdays", "Days", ("weekdays", "days of the week", "tage", "wochentage")),
]
BY_FIELD = {column.field: column for column in COLUMNS}
HEADINGS = {word: column.field for column in COLUMNS for word in (column.heading.casefold(), *column.words)}
ORDERS = {
    1: ["label"],
    2: ["label", "value"],
    3: ["label", "value", "status"],
    4: ["label", "value", "status", "note"],
    5: ["label", "value", "unit", "status", "note"],
    6: [*BY_FIELD][:6],
    7: [*BY_FIELD][:7],
    len(COLUMNS): [*BY_FIELD],
}
"""The columns of a table without headings, by their number, in the order in which boards and exports have them."""
UNSAID = object()
"""The value of a cell that leaves its field unchanged."""
YES = {"yes", "y", "true", "1", "on", "x", "ja", "j", "wahr"}
NO = {"no", "n", "false", "0", "off", "nein", "falsch"}
STATUS_WORDS = {
    "now": "info", "watch": "warning", "alert": "critical",
    "jetzt": "info", "achtung": "warning", "warnung": "warning", "alarm": "critical",
    "none": "", "no status": "", "kein status": "", "-": "",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault in one row of a table, as a sentence."""

    line: int
    column: str
    words: str


@dataclass(frozen=True, slots=True)
class Row:
    """The values that a table has for one entry, by field. Fields that are not among them stay unchanged."""

    line: int
    values: dict[str, Any]

    @property
    def label(self) -> str:
        return str(self.values.get("label", ""))


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a table, their faults, and notes about columns that were left out."""

    rows: list[Row]
    faults: list[Fault]
    notes: list[str]


def table(lines: Sequence[Line], board: Board) -> Table:
    """Return the rows that lines contain for a board's entries.

    Raises: Unreadable, if no column has the names, or if there are too many rows.
    """
    fields = fields_of_headings(lines[0].cells, board)
    notes = []
    if fields:
        body = lines[1:]
        if unknown := left_out(lines[0].cells, fields, body):
            notes.append(
                _("Left out, because no such column is known: {names}.").format(names=", ".join(unknown))
            )
        if "label" not in fields:
            raise Unreadable(
                _(
                    "No column is headed “Label” or “Name”. Write one of these above the column with the names."
                )
            )
        double = sorted({BY_FIELD[field].heading for field in fields if field and fields.count(field) > 1})
        if double:
            raise Unreadable(
                _("Two columns are headed “{name}”. Remove or rename one of them.").format(
                    name="”, “".join(double)
                )
            )
    else:
        body = [*lines]
        width = max(
            max((place for place, cell in enumerate(line.cells, 1) if plain(cell)), default=0)
            for line in body
        )
        fields = ORDERS.get(width) or []
        if not fields:
            raise Unreadable(
                _(
                    "The table has {number} columns, but no headings. Write a first row with headings such as "
                    "{names}."
                ).format(number=width, names=", ".join(column.heading for column in COLUMNS))
            )
    if not body:
        raise Unreadable(_("There are headings, but no rows below them."))
    if len(body) > MAX_ROWS:
        raise Unreadable(
            _("{number} rows are too many; a board takes {limit} at a time.").format(
                number=len(body), limit=MAX_ROWS
            )
        )
    given = [(line.number, cells_of(line, fields)) for line in body]
    return Table(*read(given, board), notes)


def left_out(headings: Sequence[str], fields: Sequence[str], body: Sequence[Line]) -> list[str]:
    """Return the names of the columns that are not known; those without a heading only if they have content."""
    return [
        f"“{plain(heading)}”" if plain(heading) else _("column {number}").format(number=place + 1)
        for place, (heading, field) in enumerate(zip(headings, fields, strict=True))
        if not field
        and (plain(heading) or any(plain("".join(line.cells[place : place + 1])) for line in body))
    ]


def fields_of_headings(cells: Sequence[str], board: Board) -> list[str]:
    """Return the field of each heading, "" for an unknown one; an empty list if these are not headings."""
    own = {
        plain(getattr(board, f"{field}_heading")).casefold(): field
        for field in ("label", "value", "status", "note")
    }
    words = [plain(unmarked(cell)).casefold() for cell in cells]
    # The headings of an export keep their meaning, even if the board uses one of the words for another column.
    is_exported = words == [column.heading.casefold() for column in COLUMNS]
    known = HEADINGS if is_exported else HEADINGS | own
    known.pop("", None)
    found = [known.get(word, "") for word in words]
    count = sum(map(bool, found))
    filled = sum(bool(plain(cell)) for cell in cells)
    return found if count and 2 * count >= filled and ("label" in found or count > 1) else []


def cells_of(line: Line, fields: Sequence[str]) -> dict[str, Any]:
    """Return the cells of a line by field; the first one beyond the last column under an empty name."""
    found: dict[str, Any] = {
        field: unmarked(cell) for field, cell in zip(fields, line.cells, strict=False) if field
    }
    beyond = [cell for cell in map(plain, line.cells[len(fields) :]) if cell]
    return found | ({"": beyond[0]} if beyond else {})


def read(given: Iterable[tuple[int, Mapping[str, Any]]], board: Board) -> tuple[list[Row], list[Fault]]:
    """Return rows of values by field, each with the number by which faults name it, and the faults."""
    rows, faults = [], []
    prefetch_related_objects([board], "statuses")
    statuses, zone = known_statuses(board), board.zone
    for line, cells in given:
        values: dict[str, Any] = {}
        wrong = []
        for field, text in cells.items():
            try:
                value = value_of(field, plain(text), statuses, zone)
            except ValidationError as error:
                heading = BY_FIELD[field].heading if field in BY_FIELD else ""
                wrong.append(Fault(line, heading, " ".join(error.messages)))
            else:
                if value is not UNSAID:
                    values[field] = value
        if not values.get("label") and not any(fault.column == "Label" for fault in wrong):
            wrong.append(Fault(line, "Label", _("The name is missing. Write one.")))
        rows.append(Row(line, values))
        faults += wrong
    return rows, faults


def value_of(field: str, text: str, statuses: "Statuses", zone: ZoneInfo) -> Any:
    """Return the value of a cell; UNSAID if it leaves the field unchanged. Times are by the clock of a zone.

    Raises: ValidationError, in an editor's words.
    """
    column = BY_FIELD.get(field)
    if column is None:
        raise ValidationError(
            _("The row has more cells than there are columns: “{text}”. Quote or remove it.").format(
                text=text
            )
        )
    if not is_storable(text):
        raise ValidationError(_("It has characters that cannot be stored. Remove them."))
    if column.is_switch:
        if not text:
            return UNSAID
        if text.casefold() not in YES | NO:
            raise ValidationError(_("“{text}” is neither yes nor no. Write one of them.").format(text=text))
        return text.casefold() in YES
    if field == "status":
        if text.casefold() not in statuses:
            known = ", ".join(statuses.offered)
            raise ValidationError(
                _("“{text}” is not a status. Write {known}, or leave it empty.").format(
                    text=text, known=known
                )
            )
        return statuses[text.casefold()]
    if column.is_time:
        return time_of(text, zone)
    if field == "weekdays":
        return days_of(text)
    limit: int = getattr(Entry._meta.get_field(field), "max_length", 0)
    if len(text) > limit:
        raise ValidationError(
            _("It is {number} characters long; at most {limit} are possible.").format(
                number=len(text), limit=limit
            )
        )
    return text


class Statuses(dict[str, str]):
    """The statuses by the words that stand for them, and the words of those that editors choose from."""

    offered: list[str]


def known_statuses(board: Board) -> Statuses:
    """Return the statuses of a board; also those that programs have written to it."""
    present = board.entries.order_by().values_list("status", flat=True).distinct()
    known = Statuses(
        {plain(status).casefold(): status for status in present}
        | STATUS_WORDS
        | {str(label).casefold(): value for value, label in Status.choices}
        | {value.casefold(): value for value in Status.values}
        | {own.name.casefold(): own.name for own in board.own_statuses}
        | {plain(own.word).casefold(): own.name for own in board.own_statuses}
    )
    known.offered = [word for name, word in board.offered_statuses if name]
    return known
