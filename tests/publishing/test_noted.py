"""Outbox rows are read one by one: whatever one holds, the others are read."""

import contextlib
import sqlite3

import pytest
from django.db import connection

from realtime.databases.outbox import OutboxCursor
from realtime.publishing import noted
from realtime.publishing.positions import read_snapshot


@pytest.fixture
def put(log):
    """A function that writes an outbox row with any value, as a program without Django can."""
    path = connection.settings_dict["NAME"]
    with contextlib.closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as plain:
        plain.execute("PRAGMA ignore_check_constraints = on")

        def write(image: str | bytes | None, source: str | bytes = "a_table") -> None:
            plain.execute(
                "INSERT INTO realtime_outboxrow (source, image) VALUES (CAST(? AS text), CAST(? AS text))",
                [source, image],
            )

        yield write


@pytest.fixture
def read(log):
    """A function that reads the rows of a test."""
    since = OutboxCursor(log.state.next)

    def rows(at_most: int = 1000, sources: tuple[str, ...] = ()) -> list[noted.Noted]:
        with read_snapshot() as moment:
            return noted.read(since, moment.cursor, at_most, sources)

    return rows


@pytest.mark.parametrize(
    "image",
    [
        "[1, 2]", '"text"', "3", "true", "null", "", "{", "{'id': 1}", '{"id": ' + "9" * 5000 + "}",
        "[" * 5000 + "]" * 5000, '{"id": ' + "[" * 100_000 + "1" + "]" * 100_000 + "}", b"\xff\xfe", b'{"id": "\xff"}',
    ],
    ids=[
        "list", "text", "number", "boolean", "null", "empty", "cut", "single quotes", "too many digits",
        "deep list", "deep object", "bytes", "not UTF-8",
    ],
)  # fmt: skip
def test_a_malformed_image_affects_no_other_row(put, read, lines, image):
    """It counts as one that may concern any row of its table, and is logged with its id."""
    put('{"id": 1}')
    put(image)
    put('{"id": 2}')

    first, bad, last = read()

    assert (first.image, last.image) == ({"id": 1}, {"id": 2})
    assert (bad.image, bad.is_malformed, bad.source) == (None, True, "a_table")
    (line,) = [line for line in lines() if "no image can be read" in line]
    assert str(bad.id) in line
    assert "a_table" in line


def test_a_source_that_cannot_be_read_affects_no_other_row(put, read):
    """Nobody can say which feeds the row concerns; it is of none."""
    put('{"id": 1}')
    put('{"id": 3}', b"\xff\xfe")
    put('{"id": 2}')

    assert [(row.source, row.image) for row in read()] == [
        ("a_table", {"id": 1}), ("", None), ("a_table", {"id": 2}),
    ]  # fmt: skip


def test_many_malformed_images_are_one_line(put, read, lines):
    """For each source, with their number."""
    for _ in range(30):
        put("[]")
        put("[]", "another_table")

    read()

    assert len([line for line in lines() if "30 outbox rows of" in line]) == 2


def test_an_image_that_is_absent_is_not_malformed(put, read, lines):
    """The triggers note TRUNCATE so."""
    put(None)

    assert [(row.image, row.is_malformed) for row in read()] == [(None, False)]
    assert lines() == []


def test_the_rows_of_some_sources_can_be_read_alone(put, read):
    """As those of notices are, beside a flood."""
    for source in ("a_table", "another_table", "a_table"):
        put("{}", source)

    assert [row.source for row in read(sources=("another_table", "a_third"))] == ["another_table"]
    assert [row.source for row in read(at_most=2)] == ["a_table", "another_table"]


def test_the_age_of_a_row_is_that_of_its_write(put, read):
    """Never negative, whatever the clocks say."""
    put("{}")
    (row,) = read()

    assert 0 <= noted.age(row) < 600
    assert noted.age(noted.Noted(1, "2999-01-01 00:00:00+00", "a_table", {})) == 0
    assert noted.age(noted.Noted(1, "2001-01-01 02:00:00+02", "a_table", {})) > 10**8
