"""Tables from files and copied cells: their encodings and separators, and words for what is no table."""

import gzip
import io
import zipfile

import pytest

from realtime.boards.exchange.reading import MAX_BYTES, MAX_ROWS, Unreadable, decoded, lines, text_of

WORDS = "Tromsø;07:30;Überfüllt … “später”\r\nÅlesund;08:10;\r\n"


@pytest.mark.parametrize(
    "content",
    [
        WORDS.encode(),
        WORDS.encode("utf-8-sig"),
        WORDS.encode("cp1252"),
        WORDS.encode("utf-16"),
        b"\xfe\xff" + WORDS.encode("utf-16-be"),
        WORDS.encode("utf-16-le"),
        WORDS.encode("utf-16-be"),
    ],
    ids=["utf-8", "utf-8 with mark", "cp1252", "utf-16", "utf-16-be with mark", "utf-16-le", "utf-16-be"],
)
def test_the_usual_encodings_are_read(content):
    """The encoding of CSV files differs by program, version and country."""
    found = lines(text_of(content))

    assert [line.cells for line in found] == [
        ["Tromsø", "07:30", "Überfüllt … “später”"],
        ["Ålesund", "08:10", ""],
    ]


@pytest.mark.parametrize("separator", [";", ",", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_separator_and_line_end_are_recognised(separator, end):
    """Cells that contain the other separators do not mislead."""
    rows = [
        ["Berlin, Hbf" if separator != "," else "Berlin; Hbf", "12", "x"],
        ["Rom", "1", ""],
        ["Ulm", "2", "y"],
    ]
    text = end.join(separator.join(row) for row in rows)

    assert [line.cells for line in lines(text)] == rows


def test_a_stated_separator_is_obeyed():
    """Excel writes and reads this line."""
    assert [(line.number, line.cells) for line in lines("sep=,\r\na;b,c\r\n")] == [(2, ["a;b", "c"])]


@pytest.mark.parametrize("separator", [*"edn|x'!", "\x0b", "\u2028"], ids=ascii)
def test_any_character_may_be_stated(separator):
    """Also one that the reader could take for a part of its own mark."""
    text = f"sep={separator}\nA{separator}B\n1{separator}2\n"

    assert [line.cells for line in lines(text)] == [["A", "B"], ["1", "2"]]


def test_a_quotation_mark_separates_nothing():
    """The csv module refuses it as of Python 3.13."""
    assert [line.number for line in lines('sep="\nA\n')] == [1, 2]


def test_decimal_commas_do_not_separate():
    """In countries with decimal commas spreadsheets separate by semicolons."""
    assert [line.cells for line in lines("Luft;12,5;°C\nWasser;8,1;°C")] == [
        ["Luft", "12,5", "°C"],
        ["Wasser", "8,1", "°C"],
    ]


def test_quoted_cells_may_have_several_lines_and_lines_are_counted():
    """The number names the line in which a row begins, as the form shows it."""
    found = lines('a\t"first\nsecond ""word"""\n\n\nb\tc\n')

    assert [(line.number, line.cells) for line in found] == [
        (1, ["a", 'first\nsecond "word"']),
        (5, ["b", "c"]),
    ]


@pytest.mark.parametrize("text", ["", "\n \n", "\t\t\n;;", '""\t""'])
def test_an_empty_table_is_named(text):
    """It is an error, not a request for an empty board."""
    with pytest.raises(Unreadable, match="no row with text"):
        lines(text)


@pytest.mark.parametrize("text, line", [('a\tb\nc\t"d\ne\tf', 2), ('"a', 1), ('a;b\n\n"c;d', 3)])
def test_a_quote_without_end_is_named_with_its_line(text, line):
    """It would swallow all rows after it."""
    with pytest.raises(Unreadable, match=f"In line {line} a quotation mark has no end"):
        lines(text)


def test_too_many_rows_are_refused_with_their_number():
    """Not cut off: what is missing would not be noticed."""
    with pytest.raises(Unreadable, match="2005 lines are too many; a board takes 2000 rows"):
        lines("x\ty\n" * (MAX_ROWS + 5))


def test_a_cell_without_end_is_refused():
    """Python's reader has a limit of its own."""
    with pytest.raises(Unreadable, match="Line 1 cannot be read"):
        lines("x" * 200_000 + "\ty")


def archive(*names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name in names:
            made.writestr(name, "x")
    return file.getvalue()


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "empty"),
        (b" \r\n", "empty"),
        (b"\x89PNG\r\n\x1a\n\0\0", "an image"),
        (b"\xff\xd8\xff\xe0JFIF", "an image"),
        (b"GIF89a;1;2", "an image"),
        (b"%PDF-1.7", "a PDF"),
        (gzip.compress(b"a;b", mtime=0), "gzip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", r"old kind \(.xls\)"),
        (archive("word/document.xml"), "a Word document"),
        (archive("mimetype", "content.xml"), "an OpenDocument file"),
        (archive("photo.jpg"), r"archive \(ZIP\)"),
        (b"PK\x03\x04 and nothing else", "damaged"),
        (b"<!DOCTYPE html><table>", "a web page"),
        (b"<html><head>", "a web page"),
        (bytes(range(1, 256)) * 5, "cannot be read"),
        (b"\0" * 100, "cannot be read"),
        (b"\xff\xfea\0b", "cannot be read"),
        (b"\xef\xbb\xbf\xff;1", "cannot be read"),
        (b"a;b\x81\x8d", "cannot be read"),
        (b"x" * (MAX_BYTES + 1), "larger than 3 MB"),
    ],
    ids=lambda value: value[:8].hex() or "none" if isinstance(value, bytes) else value,
)
def test_a_file_that_is_not_a_table_is_named_by_its_kind(content, words):
    """Whatever its name ends with; and the sentence says what to do."""
    with pytest.raises(Unreadable, match=words):
        text_of(content)


def test_a_line_of_a_text_may_have_tabs_and_form_feeds():
    """They are white space, and do not mean that the file is not text."""
    assert decoded(b"a\tb\x0cc\x0b\r\n") == "a\tb\x0cc\x0b\r\n"
