"""Tables as editors supply them: a file or copied cells, in any usual encoding, with any usual separator.

A file is converted to text first. The form shows the text, so that faults can be corrected there. ``columns.py``
interprets the cells.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from . import workbooks
from .cells import plain, tab_separated

MAX_BYTES = 3 * 2**20
"""Size of a file. The server refuses requests of more than 4 MiB, with an answer that does not mention the form."""
MAX_ROWS = 2000
SEPARATORS = "\t;,"
"""The first of them is used if several fit equally well."""
SAMPLE = 100

SIGNATURES = [
    (b"\x89PNG", gettext_noop("an image (PNG)")),
    (b"\xff\xd8\xff", gettext_noop("an image (JPEG)")),
    (b"GIF8", gettext_noop("an image (GIF)")),
    (b"RIFF", gettext_noop("an image or a recording")),
    (b"BM", gettext_noop("an image (BMP)")),
    (b"II*\0", gettext_noop("an image (TIFF)")),
    (b"%PDF", gettext_noop("a PDF")),
    (b"\x1f\x8b", gettext_noop("a compressed file (gzip)")),
    (b"\xd0\xcf\x11\xe0", gettext_noop("an Excel file of the old kind (.xls), or one with a password")),
    (b"{\\rtf", gettext_noop("a text document (RTF)")),
]
"""The first bytes of files of other kinds, and their names in errors."""
MARKS = [(b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")]


class Unreadable(Exception):
    """A table cannot be read; the text says why, and what to do."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True, slots=True)
class Line:
    """The cells of a row, and the number of the line in which it begins, from 1."""

    number: int
    cells: list[str]


def text_of(content: bytes) -> str:
    """Return the text of a file: of a workbook, the cells of its first sheet with tabs between them.

    Raises: Unreadable.
    """
    if not content.strip():
        raise Unreadable(_("The file is empty. Choose another one."))
    if len(content) > MAX_BYTES:
        raise Unreadable(
            _("The file is larger than {number} MB. Split it, or remove what is not needed.").format(
                number=MAX_BYTES // 2**20
            )
        )
    if content.startswith(b"PK"):
        try:
            return tab_separated(workbooks.rows(content, MAX_ROWS))
        except workbooks.BadWorkbook as error:
            raise Unreadable(str(error)) from error
    for signature, kind in SIGNATURES:
        if content.startswith(signature):
            raise Unreadable(
                _("This is {kind}, not a table. Save the table as Excel (.xlsx) or as CSV.").format(
                    kind=_(kind)
                )
            )
    text = decoded(content)
    if text.lstrip()[:9].lower() in ("<!doctype", "<html><he") or text.lstrip()[:5].lower() in (
        "<html",
        "<?xml",
    ):
        raise Unreadable(
            _("This is {kind}, not a table. Save the table as Excel (.xlsx) or as CSV.").format(
                kind=_("a web page")
            )
        )
    return text


def decoded(content: bytes) -> str:
    """Return the text of bytes, in the encoding that they state or seem to have; the last guess is Windows' own.

    Raises: Unreadable.
    """
    marked = [(content[len(mark) :], encoding) for mark, encoding in MARKS if content.startswith(mark)]
    # Western text in UTF-16 has a zero in every second byte, text in no other encoding has any.
    halves = {"utf-16-le": content[1::2], "utf-16-be": content[::2]}
    guessed = [(content, encoding) for encoding, half in halves.items() if half.count(0) * 2 > len(half)]
    for body, encoding in [*marked, *guessed] or [(content, "utf-8"), (content, "cp1252")]:
        try:
            text = body.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not any(letter < " " and letter not in "\t\n\r\f\v" for letter in {*text}):
            return text
    raise Unreadable(
        _("The characters of this file cannot be read. Save the table as Excel (.xlsx) or as “CSV UTF-8”.")
    )


def lines(text: str) -> list[Line]:
    """Return the rows of a text that are not empty.

    Raises: Unreadable, if it has none or too many, or is not a table.
    """
    separator, skipped, body = declared_separator(text.replace(END[0], " "))
    if not separator:
        separator = max(SEPARATORS, key=lambda each: (regularity(body, each), -SEPARATORS.index(each)))
    found: list[Line] = []
    count = 0
    for number, cells in rows(body, separator, skipped):
        if any(plain(cell).strip(SEPARATORS) for cell in cells):
            count += 1
            if count <= MAX_ROWS + 1:  # one may be the headings
                found.append(Line(number, cells))
    if not found:
        raise Unreadable(_("There is no row with text. Copy the cells again, or choose another file."))
    if count > len(found):
        raise Unreadable(
            _("{number} lines are too many; a board takes {limit} rows at a time.").format(
                number=count, limit=MAX_ROWS
            )
        )
    return found


def declared_separator(text: str) -> tuple[str, int, str]:
    """Return the separator that the first line states as Excel does (``sep=;``), the lines of that, and the others."""
    first, _, rest = text.partition("\n")
    stated = first.strip("\r").lower()
    # Not a quotation mark, which csv.reader refuses as of Python 3.13.
    is_stated = len(stated) == 5 and stated.startswith("sep=") and stated[4] != '"'
    return (stated[4], 1, rest) if is_stated else ("", 0, text)


def regularity(text: str, separator: str) -> float:
    """Return how regular a text is with this separator: the part of its rows that have the usual number of cells.

    0 if that number is one. Only a sample of the rows is read.
    """
    try:
        widths = Counter(len(cells) for _, cells in islice(rows(text, separator), SAMPLE) if any(cells))
    except Unreadable:
        return 0
    width, count = max(widths.items(), key=lambda each: (each[1], each[0]), default=(0, 0))
    return count / widths.total() if width > 1 else 0


def rows(text: str, separator: str, skipped: int = 0) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a text with the number of the line in which each begins.

    Raises: Unreadable.
    """
    end = separator.join(["", END])
    reader = csv.reader(chain(io.StringIO(text, newline=""), [end]), delimiter=separator)
    number, begins = 0, 1
    while True:
        begins = number + 1
        try:
            cells = next(reader)
        except csv.Error as error:
            raise Unreadable(
                _("Line {number} cannot be read as part of a table ({error}).").format(
                    number=begins + skipped, error=error
                )
            ) from error
        number = reader.line_num
        if cells == ["", END]:
            return
        if cells and cells[-1].endswith(END):
            start = " ".join(separator.join(cells).split())[:40]
            raise Unreadable(
                _("In line {number} a quotation mark has no end: “{start}…”. Close or remove it.").format(
                    number=begins + skipped, start=start
                )
            )
        yield begins + skipped, cells


END = "\x1f\x1f"
"""A row that is appended to detect an unclosed quotation mark, which would make it part of a cell.

Its character is never a separator.
"""
