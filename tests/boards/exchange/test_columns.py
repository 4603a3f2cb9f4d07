"""The meaning of a table's columns, and the errors for cells that cannot be used."""

import pytest

from realtime.boards.exchange.columns import table
from realtime.boards.exchange.reading import Unreadable, lines

ROW = {"label": "Oslo", "value": "07:30", "status": "warning", "note": "late"}


def read(board, text):
    return table(lines(text), board)


@pytest.mark.parametrize(
    "heading",
    ["Label;Value;Status;Note", "NAME; wert ;Status;Bemerkung", "Bezeichnung;Wert;Zustand;Notiz"],
)  # fmt: skip
def test_headings_are_known_in_both_languages(board, heading):
    """In any case; the columns may be named as the admin or as people do."""
    found = read(board, f"{heading}\nOslo;07:30;Watch;late")

    assert [row.values for row in found.rows] == [ROW]
    assert (found.rows[0].line, found.faults, found.notes) == (2, [], [])


def test_the_headings_of_the_board_are_known(board):
    """An editor copies the table as the page shows it; the board's headings have priority over known words."""
    board.label_heading, board.value_heading, board.status_heading = "Destination", "Status", "Is it late?"

    found = read(board, "is it late?;Destination;Status\nWatch;Oslo;07:30")

    assert found.rows[0].values == {"label": "Oslo", "value": "07:30", "status": "warning"}


@pytest.mark.parametrize(
    "text, values",
    [
        ("Oslo", {"label": "Oslo"}),
        ("Oslo;07:30", {"label": "Oslo", "value": "07:30"}),
        ("Oslo;07:30;Watch;late", ROW),
        ("Oslo;7;min;Watch;late", ROW | {"value": "7", "unit": "min"}),
        ("Oslo;7;min;Watch;late;no;yes", ROW | {"value": "7", "unit": "min", "is_visible": False, "is_pinned": True}),
        ("Oslo;07:30;Watch;late;;;;", ROW),
        ("Status;Watch", None),
    ],
)  # fmt: skip
def test_without_headings_the_order_says_what_columns_mean(board, text, values):
    """As a board shows them, and as exports write them. Blank cells at the end do not count as columns."""
    if values is None:
        with pytest.raises(Unreadable, match=r"No column|headings"):
            read(board, text.replace("Watch", "Note"))
        return
    assert [row.values for row in read(board, text).rows] == [values]


@pytest.mark.parametrize(
    "word, value",
    [("yes", True), ("JA", True), ("x", True), ("1", True), ("no", False), ("Nein", False), ("0", False)],
)  # fmt: skip
def test_yes_and_no_are_known_in_both_languages(board, word, value):
    """An empty cell leaves its field unchanged."""
    found = read(board, f"Name;Visible;Pinned\nOslo;{word};")

    assert found.rows[0].values == {"label": "Oslo", "is_visible": value}


@pytest.mark.parametrize(
    "word, status",
    [("OK", "ok"), ("alert", "critical"), ("critical", "critical"), ("Alarm", "critical"), ("Jetzt", "info"), ("", ""),
     ("no status", ""), ("-", ""), ("'-", "")],
)  # fmt: skip
def test_statuses_are_known_by_word_and_by_name(board, word, status):
    """The word that the board shows, the name that programs use, and the words of the other language."""
    assert read(board, f"Name;Status\nOslo;{word}").rows[0].values["status"] == status


def test_a_status_that_a_program_has_written_is_known(board, entry):
    """Otherwise the export of a board could not be imported."""
    board.entries.update(status="Boarding")

    assert read(board, "Name;Status\nOslo;boarding").rows[0].values["status"] == "Boarding"


@pytest.mark.parametrize(
    "line, column, words",
    [
        (";07:30;ok", "Label", "The name is missing"),
        ("Oslo;07:30;late", "Status", "“late” is not a status. Write OK, Now, Watch, Alert"),
        (f"{'x' * 201};1;ok", "Label", "201 characters long; at most 200"),
        ("Oslo;" + "1" * 300, "Value", "300 characters long; at most 200"),
        ("Oslo;1;ok;more", "", "more cells than there are columns: “more”"),
        ("Oslo;a\ud800", "Value", "cannot be stored"),
    ],
)
def test_a_fault_names_line_and_column(board, line, column, words):
    """And says what to write instead; the other rows have none."""
    [fault] = read(board, f"Name;Value;Status\nRom;1;ok\n\n{line}\nUlm;2;").faults

    assert (fault.line, fault.column) == (4, column)
    assert words in fault.words


def test_all_faults_of_a_table_are_named(board):
    """In one answer, so that an editor corrects them together."""
    faults = read(board, "Name;Value;Status\nOslo;1;a\n;2;b\nUlm;3;").faults

    assert [(fault.line, fault.column) for fault in faults] == [(2, "Status"), (3, "Status"), (3, "Label")]


def test_unknown_columns_are_named_and_left_out(board):
    """Also one without a heading that has something in it."""
    found = read(board, "Name;Value;Colour;\nOslo;1;red;?")

    assert found.rows[0].values == {"label": "Oslo", "value": "1"}
    assert found.notes == ["Left out, because no such column is known: “Colour”, column 4."]


@pytest.mark.parametrize(
    "text, words",
    [
        ("Value;Status\n1;ok", "No column is headed"),
        ("Name;Value;Wert\na;1;2", "Two columns are headed “Value”"),
        ("Name;Value", "no rows below"),
        ("a;b;c;d;e;f;g;h", "8 columns, but no headings"),
        ("Name\n" + "x\n" * 2001, "2002 lines are too many"),
        ("x\n" * 2001, "2001 rows are too many"),
    ],
)
def test_a_table_that_cannot_be_understood_is_refused_with_words(board, text, words):
    """They say what to change."""
    with pytest.raises(Unreadable, match=words):
        read(board, text)
