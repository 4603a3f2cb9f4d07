"""Outbox rows are read one by one: whatever one holds, the others are read."""

import contextlib
import json
import math
import sqlite3
import time

import pytest
from django.db import connection

from realtime.databases.base import is_storable
from realtime.databases.outbox import OutboxCursor
from realtime.publishing import log as the_log
from realtime.publishing import outbox_records
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

    def rows(at_most: int = 1000, sources: tuple[str, ...] = ()) -> list[outbox_records.OutboxRecord]:
        with read_snapshot() as moment:
            return outbox_records.read(since, moment.cursor, at_most, sources)

    return rows


@pytest.mark.parametrize(
    "image",
    [
        "[1, 2]", '"text"', "3", "true", "null", "", "{", "{'id': 1}", '{"id": ' + "9" * 5000 + "}",
        "[" * 5000 + "]" * 5000, '{"id": ' + "[" * 100_000 + "1" + "]" * 100_000 + "}", b"\xff\xfe",
        "[" + "1" * 100_000 + "]", '"' + "x" * 100_000 + '"', '{"id": "' + "x" * 17_000_000 + '"}', b'{"id": \xff}',
    ],
    ids=[
        "list", "text", "number", "boolean", "null", "empty", "cut", "single quotes", "too many digits",
        "deep list", "deep object", "bytes",
        "long list", "long text", "too long", "not UTF-8",
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


def test_bytes_that_are_not_utf8_are_kept(put, read):
    """In a source, which is that of no table, and in a value, which equals none of a row that can be read."""
    put('{"id": 1}')
    put('{"id": 3}', b"\xff\xfe")
    put(b'{"id": 4, "name": "a\xff"}')
    put('{"id": 2}')

    assert [(row.source, row.image) for row in read()] == [
        ("a_table", {"id": 1}), ("\udcff\udcfe", {"id": 3}), ("a_table", {"id": 4, "name": "a\udcff"}),
        ("a_table", {"id": 2}),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "value",
    [
        '"' + "x" * 100_000 + '"',
        '["' + "x" * 100_000 + '"]',
        "[" + "1," * 100_000 + "1]",
        '"' + "ä" * 70_000 + '"',
        '{"a": "' + "x" * 100_000 + '"}',
        '[["' + "x" * 100_000 + '"]]',
        "1." + "1" * 100_000,
    ],
    ids=["text", "exact form", "list", "other letters", "object", "list in a list", "digits"],
)
def test_a_long_value_is_cut_and_the_others_are_read(put, read, value):
    """A round has the images of 2000 rows in memory. What is cut equals no value that can be stored."""
    put(f'{{"id": 1, "name": {value}}}')

    (row,) = read()

    assert row.image is not None
    assert row.image["id"] == 1
    assert len(row.image["name"]) < 200
    assert not is_storable(row.image["name"])


def test_a_long_image_of_short_values_is_read_whole(put, read):
    """As one of many columns."""
    image = {f"column_{number}": "x" * 100 for number in range(1000)}
    put(json.dumps(image))

    assert [row.image for row in read()] == [image]


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


@pytest.mark.parametrize(
    "written_at, least, most",
    [
        (None, 0, 600), (32_503_680_000.0, 0, 0), (1_000_000_000.0, 10**8, 10**10), (math.inf, 0, 0),
        (-math.inf, 0, 0),
    ],
)  # fmt: skip
def test_the_time_of_a_row_is_that_of_its_write(put, read, written_at, least, most):
    """Never a later one than now, which it is if nothing else is known."""
    put("{}")
    if written_at is not None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE realtime_outboxrow SET written_at = %s", [written_at])
    before = time.time()

    (row,) = read()

    assert before - most <= row.written_at <= time.time() - least
    assert least <= the_log.waiting_seconds() <= most + 600
