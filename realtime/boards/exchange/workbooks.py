"""Excel workbooks: read within bounds, and written so that no cell is a formula.

openpyxl reads cells by defusedxml, which refuses entities; the size of unpacked files is bounded here.
"""

import io
import logging
import zipfile
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

import openpyxl
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from openpyxl.styles import Font

from .cells import CONTROL, FORMULA, plain

logger = logging.getLogger("realtime.boards")

MAX_UNFOLDED = 6 * 2**20
"""Bytes without compression: three times the size of 2,000 rows if every cell has its greatest length."""
MAX_TAGS = 200_000
"""A hundred for each of 2,000 rows; a cell has up to eight. Reading takes a time proportional to their number."""
MAX_PARTS = 300
MAX_COLUMNS = 40
MAX_BLANK = 1000
"""After so many rows without text a table is taken to be over: some sheets have a million rows with only a colour."""

OTHERS = [
    ("word/", gettext_noop("a Word document")),
    ("ppt/", gettext_noop("a presentation")),
    ("content.xml", gettext_noop("an OpenDocument file")),
    ("", gettext_noop("a compressed archive (ZIP)")),
]

TOO_MUCH = gettext_noop(
    "This Excel file has too much in it. Copy the table into a new file, or save it as CSV."
)
DAMAGED = gettext_noop(
    "This Excel file is damaged or has parts that cannot be read. Save it again, or save the table as CSV."
)


class BadWorkbook(Exception):
    """A file that is not a workbook, or one that is not read; the text says why, and what to do."""


def rows(content: bytes, most: int) -> list[list[str]]:
    """Return the cells of the first visible sheet as text, up to ``most`` rows with text and a few more.

    Shape:  the index of a row is that of the sheet, so blank rows are in between.
    Raises: BadWorkbook.
    """
    check(content)
    try:
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
        sheet = next((each for each in book.worksheets if each.sheet_state == "visible"), None)
        if sheet is None:
            raise BadWorkbook(_("This workbook has no sheet with cells. Choose another file."))
        return until_blank(sheet.iter_rows(max_col=MAX_COLUMNS), most)
    except BadWorkbook:
        raise
    except Exception as error:
        # The library raises whatever the damage leads to: KeyError, ValueError, errors of XML.
        logger.info("a workbook cannot be read: %s: %s", type(error).__name__, error)
        raise BadWorkbook(_(DAMAGED)) from error


def check(content: bytes) -> None:
    """Raise BadWorkbook if a compressed file is not a workbook, or too large without compression.

    The sizes are those that it states: Python reads no more than these of each part.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise BadWorkbook(_("This file is damaged. Save it again, or save the table as CSV.")) from error
    parts = archive.infolist()
    names = [part.filename for part in parts]
    if "xl/workbook.xml" not in names:
        kind = next(
            kind for start, kind in OTHERS if any(name.startswith(start) for name in names) or not start
        )
        raise BadWorkbook(
            _("This is {kind}, not a table. Save the table as Excel (.xlsx) or as CSV.").format(kind=_(kind))
        )
    if len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > MAX_UNFOLDED:
        raise BadWorkbook(_(TOO_MUCH))
    try:
        tags = sum(archive.read(part).count(b"<") for part in parts)
    except Exception as error:  # the library raises whatever the damage leads to: of zlib, of a password
        raise BadWorkbook(_(DAMAGED)) from error
    if tags > MAX_TAGS:
        raise BadWorkbook(_(TOO_MUCH))


def until_blank(sheet: Iterable[Sequence[Any]], most: int) -> list[list[str]]:
    """Return rows as text, without those at the end that are blank."""
    found: list[list[str]] = []
    filled = blank = 0
    for row in sheet:
        cells = [text_of(cell) for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        found.append(cells)
        blank = 0 if cells else blank + 1
        filled += bool(cells)
        # Two more than are accepted: a heading, and one that shows that there are too many.
        if blank > MAX_BLANK or filled > most + 2:
            break
    return found[: len(found) - blank]


def text_of(cell: Any) -> str:
    """Return a cell's text as Excel shows it, as far as it follows from the value."""
    value = cell.value
    match value:
        case None:
            return ""
        case bool():
            return _("yes") if value else _("no")
        case int() | float():
            if "%" in str(cell.number_format):
                return f"{value * 100:.12g}%"
            return f"{value:.15g}"
        case datetime():
            return value.strftime("%Y-%m-%d" if value.time() == time() else "%Y-%m-%d %H:%M")
        case date():
            return value.isoformat()
        case time():
            return value.strftime("%H:%M:%S" if value.second else "%H:%M")
        case timedelta():
            minutes = round(value.total_seconds() / 60)
            return f"{minutes // 60}:{minutes % 60:02}"
    return str(value)


def workbook(title: str, table: Iterable[Sequence[str]]) -> bytes:
    """Return a workbook of one sheet; the first row is its heading. Every cell is a text, also “=1+1”."""
    book = openpyxl.Workbook()
    sheet: Any = book.active
    name = "".join(letter for letter in plain(title) if letter not in "[]:*?/\\'")
    sheet.title = name[:31].strip() or "Board"
    sheet.freeze_panes = "A2"
    sheet.column_dimensions["A"].width = 28
    for number, row in enumerate(table, start=1):
        for column, text in enumerate(row, start=1):
            write(sheet.cell(number, column), text)
            sheet.cell(number, column).font = Font(bold=number == 1)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def write(cell: Any, text: str) -> None:
    """Make a cell a text, whatever it begins with, that stays one when it is edited."""
    cell.value = CONTROL.sub(" ", text)
    cell.data_type = "s"
    cell.number_format = "@"
    cell.quotePrefix = bool(FORMULA.match(text))
