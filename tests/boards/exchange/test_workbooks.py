"""Excel workbooks: what their cells show, and the bounds within which they are read."""

import io
import zipfile
from datetime import date, datetime, time, timedelta

import openpyxl
import openpyxl.xml
import pytest

from realtime.boards.exchange.workbooks import MAX_TAGS, MAX_UNFOLDED, BadWorkbook, rows, workbook

SHEET = "xl/worksheets/sheet1.xml"


def book(*table, title="Sheet", change=lambda book: None):
    """Return a workbook as Excel saves it."""
    made = openpyxl.Workbook()
    made.active.title = title
    for row in table:
        made.active.append(row)
    change(made)
    file = io.BytesIO()
    made.save(file)
    return file.getvalue()


def replaced(content, name, part):
    """Return a workbook with another content of one of its parts."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for each in old.namelist():
            new.writestr(each, part if each == name else old.read(each))
    return file.getvalue()


@pytest.mark.parametrize(
    "value, text",
    [
        ("Oslo", "Oslo"),
        (7, "7"),
        (7.0, "7"),
        (0.1 + 0.2, "0.3"),
        (-12.5, "-12.5"),
        (True, "yes"),
        (False, "no"),
        (None, ""),
        (time(7, 30), "07:30"),
        (time(7, 30, 5), "07:30:05"),
        (date(2026, 11, 26), "2026-11-26"),
        (datetime(2026, 11, 26, 7, 30), "2026-11-26 07:30"),
        (timedelta(hours=26, minutes=5), "26:05"),
    ],
    ids=str,
)
def test_a_cell_is_read_as_it_is_shown(value, text):
    """An editor sees the text of the cell, not the value that Excel stores."""
    assert rows(book(["x", value, "end"]), 10) == [["x", text, "end"]]


def test_a_percentage_is_read_as_it_is_shown():
    """Excel stores a hundredth of it."""

    def change(made):
        made.active["A1"].number_format = "0%"

    assert rows(book([0.5], change=change), 10) == [["50%"]]


def test_blank_rows_keep_the_numbers_of_the_others():
    """Errors name the row that Excel shows."""
    assert rows(book(["a"], [], ["", None], ["b"], [None]), 10) == [["a"], [], [], ["b"]]


def test_the_first_visible_sheet_is_read():
    """A hidden one is not what its user sees."""

    def change(made):
        made.active.sheet_state = "hidden"
        made.create_sheet("Shown").append(["second"])

    assert rows(book(["first"], change=change), 10) == [["second"]]


def test_a_sheet_is_not_read_beyond_what_is_used():
    """A cell far below, as a stray blank leaves it, would be a million rows; a long table ends after that."""

    def change(made):
        made.active["A1000000"] = "far"

    assert rows(book(["a"], change=change), 10) == [["a"]]
    assert len(rows(book(*[["a"]] * 100), 10)) == 13


def test_a_bomb_is_refused_before_it_unfolds():
    """Ten kilobytes that become many megabytes."""
    content = replaced(book(["a"]), SHEET, b" " * (MAX_UNFOLDED + 1))
    assert len(content) < 50_000

    with pytest.raises(BadWorkbook, match="too much in it"):
        rows(content, 10)


def test_a_bomb_that_states_less_than_it_has_is_cut_off():
    """Python reads no more of a part than its stated size, and finds that the sum is another."""
    name, size = SHEET, MAX_UNFOLDED + 1
    content = replaced(book(["a"]), name, b" " * size)

    lying = content.replace(size.to_bytes(4, "little"), (1000).to_bytes(4, "little"))

    assert lying != content
    with pytest.raises(BadWorkbook, match="damaged"):
        rows(lying, 10)


@pytest.mark.parametrize("name", [SHEET, "xl/workbook.xml", "xl/styles.xml", "[Content_Types].xml"])
@pytest.mark.parametrize(
    "part",
    [
        b"<a>",
        b"not xml",
        b"",
        b"\xff\xfe",
    ],
    ids=["unclosed", "text", "nothing", "half a character"],
)
def test_damage_is_refused_in_words(name, part):
    """Whatever the library raises."""
    with pytest.raises(BadWorkbook, match="damaged"):
        rows(replaced(book(["a"]), name, part), 10)


@pytest.mark.parametrize("entity", ['"c"', 'SYSTEM "file:///etc/passwd"', 'SYSTEM "http://127.0.0.1:9/"'])
def test_entities_are_refused(entity):
    """They could unfold without end, or read a file of the server."""
    part = (
        f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b {entity}>]>'
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
        '<row r="1"><c r="A1" t="inlineStr"><is><t>&b;</t></is></c></row></sheetData></worksheet>'
    )
    content = book(["a"])
    head, body = part.split("]>")
    assert rows(replaced(content, SHEET, body.replace("&b;", "c")), 10) == [["c"]]

    with pytest.raises(BadWorkbook):
        rows(replaced(content, SHEET, f"{head}]>{body}"), 10)


def test_xml_is_read_by_the_library_that_refuses_entities():
    """Without it openpyxl would take the parser of the standard library."""
    assert openpyxl.xml.DEFUSEDXML


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", '=HYPERLINK("http://x")', "'=1"])
def test_no_written_cell_is_a_formula(text):
    """It is a text for Excel, and stays one if it is edited; and it is read as it was."""
    content = workbook("A/B: [x]?*", [["Label"], [text]])

    cell = openpyxl.load_workbook(io.BytesIO(content)).active["A2"]
    assert (cell.data_type, cell.value, cell.quotePrefix) == ("s", text, True)
    assert rows(content, 10) == [["Label"], [text]]


def test_control_characters_are_written_as_blanks():
    """XML has no way to write them: the export would fail for one entry that a program has written."""
    assert rows(workbook("", [["a\x07b\x00"]]), 10) == [["a b "]]


@pytest.mark.parametrize(
    "title", ["a\x0bb", "\x01\x02", "a\ufffe", "tab\tand\nline", "'\x1f[]", "x" * 30 + "\x0b yz"]
)
def test_any_title_is_written_as_the_name_of_a_sheet(title):
    """Programs and older versions may have stored control characters."""
    assert rows(workbook(title, [["a"]]), 10) == [["a"]]


@pytest.mark.parametrize("tag", [b"<c/>", b"<si><t>a</t></si>", b"<si/>", b"<xf/>", b'<row r="1"/>'])
def test_a_workbook_of_too_many_tags_is_refused_before_it_is_parsed(tag):
    """Each costs time, however few bytes it has."""
    part = tag * (MAX_TAGS // tag.count(b"<") + 1)
    assert len(part) < MAX_UNFOLDED
    file = io.BytesIO(book(["a"]))
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/part.xml", part)

    with pytest.raises(BadWorkbook, match="too much in it"):
        rows(file.getvalue(), 10)


def test_the_largest_table_of_an_import_is_read():
    """All rows, with a text of its own in every column."""
    table = [[f"{number} {column} " + "x" * 80 for column in range(11)] for number in range(2000)]

    assert rows(workbook("Large", table), 2000) == table
