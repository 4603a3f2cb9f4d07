"""Cells that spreadsheets do not take for formulas, and back."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.boards.exchange.cells import plain, safe, tab_separated, unmarked

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "'=1", "''-2", "=cmd|' /C calc'!A0", "-"]


@pytest.mark.parametrize("text", FORMULAS)
def test_nothing_that_is_written_begins_like_a_formula(text):
    """Excel and LibreOffice would calculate it, and ask other sites for what it names."""
    assert safe(text) == "'" + text
    assert unmarked(safe(text)) == text


@pytest.mark.parametrize("text", ["", "Oslo", "1=1", "'quoted'", "'", "''", "7:30", " =1"])
def test_other_texts_stay_what_they_are(text):
    """An apostrophe is a mark only in front of a formula's first character."""
    assert safe(text) == text
    assert unmarked(text) == text


@given(st.text())
def test_every_text_comes_back(text):
    """Also texts that only a program can write into an entry."""
    assert unmarked(safe(text)) == text
    assert not safe(text).startswith(("=", "+", "-", "@", "\t", "\r"))


@given(st.lists(st.lists(st.text(), min_size=1, max_size=4), min_size=1, max_size=5))
def test_rows_as_text_have_a_line_each(rows):
    """So the number of a line in the text is that of the row in the sheet."""
    text = tab_separated(rows)

    assert [plain(unmarked(cell)) for cell in next(csv.reader(io.StringIO(text), "excel-tab"))][
        : len(rows[0])
    ] == [plain(cell) for cell in rows[0]]
    assert text.count("\n") == len(rows)


def test_plain_text_is_one_line():
    """Entries have one line; a cell may have several."""
    assert plain(" a\n b\t\x00c\x07 \u00a0") == "a b c"
