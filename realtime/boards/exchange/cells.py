"""Cells of tables: texts that no spreadsheet takes for a formula, and back."""

import csv
import io
import re
from collections.abc import Iterable, Sequence

FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
"""The beginning of a cell that a spreadsheet may take for a formula, or that we have marked as text."""
MARKED = re.compile(r"'+[=+\-@\t\r\n]")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
"""Characters that XML does not allow."""


def safe(text: str) -> str:
    """Return a text with an apostrophe in front if a spreadsheet could take it for a formula.

    Source: OWASP, "CSV Injection". ``unmarked`` is the way back, for every text.
    """
    return f"'{text}" if FORMULA.match(text) else text


def unmarked(text: str) -> str:
    """Return a text without the apostrophe of ``safe``, with which Excel too marks a text that is not a formula."""
    return text[1:] if MARKED.match(text) else text


def plain(text: str) -> str:
    """Return a text as an entry can have it: on one line, without control characters and outer blanks."""
    return " ".join(CONTROL.sub(" ", text).split())


def tab_separated(rows: Iterable[Sequence[str]]) -> str:
    """Return rows as a text with tabs between cells and one line for each row.

    Each has a tab, so that a comma in a single column does not seem to separate two.
    """
    shown = [[safe(plain(cell)) for cell in row] for row in rows]
    width = max([2, *map(len, shown)])
    file = io.StringIO(newline="")
    csv.writer(file, "excel-tab", lineterminator="\n").writerows(
        [*row, *[""] * (width - len(row))] for row in shown
    )
    return file.getvalue()
