"""Exports: safe to open in a spreadsheet, and imported again they change nothing."""

import csv
import io
import re
from datetime import UTC, datetime

import openpyxl
import pytest
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realtime.boards.exchange.columns import COLUMNS, table
from realtime.boards.exchange.exporting import exported
from realtime.boards.exchange.plan import Mode, plan
from realtime.boards.exchange.reading import lines, text_of
from realtime.boards.models import Board, Entry

KINDS = pytest.mark.parametrize("kind", ["csv", "tsv", "xlsx"])
ODD = [
    "=1+1",
    "+49 30 1",
    "-5",
    "@home",
    "\t=1",
    "\r=1",
    "'=1",
    "a;b",
    'say "no"',
    "a, b",
    "two\nlines",
    "  blanks  ",
    "ÅÄÖ …",
]


def again(board, kind):
    """Return what importing the export of a board would do, by replacing it and by updating."""
    found = table(lines(text_of(exported(board, kind))), board)
    assert found.faults == []
    return [plan([*board.entries.all()], found.rows, mode) for mode in Mode.values]


@KINDS
def test_an_export_imports_to_the_same_rows(board, kind):
    """Hidden and pinned ones, texts of all kinds and names that occur twice included."""
    for number, text in enumerate([*ODD, "Oslo", "Oslo"]):
        board.entries.create(
            label=text, value=text, unit="min", note=f"{text}{number}", position=number, is_visible=number % 2 == 0,
            is_pinned=number == 3, status=["", "ok", "critical"][number % 3],
        )  # fmt: skip

    for found in again(board, kind):
        assert (found.summary, found.unchanged) == ("nothing to change", len(ODD) + 2)


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@KINDS
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(values=st.lists(st.tuples(TEXTS.filter(lambda text: text.split()), TEXTS), min_size=1, max_size=4))
def test_any_text_of_an_entry_survives_export_and_import(board, kind, values):
    """Programs may write any text."""
    board.entries.all().delete()
    for number, (label, note) in enumerate(values):
        board.entries.create(label=label, note=note, position=number)
    if any(not re.sub(r"[\x00-\x1f\x7f]", " ", label).split() for label, _ in values):
        return  # a name of control characters alone: the import asks for one

    assert {found.summary for found in again(board, kind)} == {"nothing to change"}


@pytest.mark.parametrize("kind, separator", [("csv", ","), ("tsv", "\t")])
def test_no_cell_begins_like_a_formula(board, kind, separator):
    """In no column."""
    for text in ODD:
        board.entries.create(label=text, value=text, unit=text, note=text)

    text = exported(board, kind).decode("utf-8-sig")

    cells = [cell for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) for cell in row]
    assert len(cells) == len(COLUMNS) * (len(ODD) + 1)
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_no_cell_of_a_workbook_is_a_formula(board):
    """The type of each is text."""
    for text in ODD:
        board.entries.create(label=text, value=text, unit=text, note=text)

    sheet = openpyxl.load_workbook(io.BytesIO(exported(board, "xlsx"))).active

    assert {cell.data_type for row in sheet.iter_rows() for cell in row} <= {"s", "inlineStr", "n"}
    assert not [
        cell.value
        for row in sheet.iter_rows()
        for cell in row
        if cell.data_type == "n" and cell.value is not None
    ]


@KINDS
def test_an_export_is_a_file_of_the_boards_name(editor_client, board, entry, kind):
    """No cache may keep the file."""
    response = editor_client.get(reverse("boards:export", args=[board.slug, kind]))

    assert response.status_code == 200
    assert response["Content-Disposition"] == f'attachment; filename="quay.{kind}"'
    assert response["Cache-Control"] == "private, no-store"
    assert response["X-Content-Type-Options"] == "nosniff"


def test_exports_are_for_editors(client, visitor, board, entry):
    """They have the hidden entries."""
    address = reverse("boards:export", args=[board.slug, "csv"])

    assert client.get(address).status_code == 302
    client.force_login(visitor)
    assert client.get(address).status_code == 302


def test_an_unknown_kind_of_file_is_not_found(editor_client, board):
    """There are three."""
    assert editor_client.get(reverse("boards:export", args=[board.slug, "xls"])).status_code == 404


@pytest.mark.parametrize("slug", ['a"b', "größe", "a\tb", "a/b"])
def test_a_slug_written_in_sql_breaks_no_export(editor_client, board, slug):
    """It is part of a header."""
    Board.objects.filter(pk=board.pk).update(slug=slug)

    response = editor_client.get(reverse("boards:export", args=[slug, "csv"]))

    assert response.status_code == 200
    assert "\n" not in response["Content-Disposition"]


TIMES = st.none() | st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))


@KINDS
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(times=st.lists(st.tuples(TIMES, TIMES, TIMES, st.sets(st.sampled_from("1234567"))), max_size=4))
def test_times_and_days_come_back(board, kind, times):
    """By the clock of the board, also in the hour that it shows twice, and whatever the board calls its columns."""
    Board.objects.filter(pk=board.pk).update(
        time_zone="Europe/Oslo", value_heading="Time", note_heading="Days"
    )
    board.refresh_from_db()
    twice = [(datetime(2026, 10, 25, hour, 30, tzinfo=UTC), None, None, {"1", "5"}) for hour in (0, 1)]
    board.entries.all().delete()
    for number, (at, begins, ends, days) in enumerate([*times, *twice]):
        Entry.objects.create(
            board=board, label="Oslo", position=number, at=at, shows_from=begins, shows_until=ends,
            weekdays="".join(sorted(days)),
        )  # fmt: skip

    assert {found.summary for found in again(board, kind)} == {"nothing to change"}


def test_an_export_has_the_times_of_the_boards_clock(board):
    """With headings."""
    Board.objects.filter(pk=board.pk).update(time_zone="Europe/Oslo")
    board.refresh_from_db()
    board.entries.create(label="Harbour", at=datetime(2026, 11, 26, 17, 45, tzinfo=UTC), weekdays="15")

    [row] = csv.DictReader(io.StringIO(exported(board, "csv").decode("utf-8-sig"), newline=""))

    assert (row["Time"], row["Shown from"], row["Days"]) == ("2026-11-26 18:45", "", "Mon, Fri")
