"""Reading: a row that fails is found by halving and left out alone; an error that no row has caused is raised.

tests/contract/test_rendering.py reads bad rows from each database.
"""

import sqlite3

import pytest
from django.core.exceptions import FieldError
from django.db import DataError, InterfaceError, InternalError, OperationalError, ProgrammingError

from realtime.rows import reading
from realtime.rows.reading import is_of_a_row, isolate

pytestmark = pytest.mark.django_db


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def of_sqlite(words: str, code: int | None) -> Exception:
    cause = sqlite3.OperationalError(words)
    if code is not None:
        cause.sqlite_errorcode = code
    return caused(OperationalError(words), cause)


@pytest.mark.parametrize("bad", [set(), {0}, {99}, {3, 4}, {0, 50, 51, 99}, set(range(0, 100, 7))])
def test_all_but_the_culprits_are_found(bad):
    """In their order, with few attempts."""
    attempts = []

    def work(start, end):
        attempts.append((start, end))
        if bad & set(range(start, end)):
            raise ValueError(start)
        return list(range(start, end))

    found, errors = isolate(work, 100)

    assert found == [number for number in range(100) if number not in bad]
    assert set(errors) == bad
    assert len(attempts) <= 1 + 2 * 7 * len(bad)


@pytest.mark.parametrize("size, pieces", [(0, []), (1, [(0, 1)]), (5, [(0, 2), (2, 4), (4, 5)])])
def test_pieces_cover_all_items(size, pieces):
    tried: list[tuple[int, int]] = []

    def work(start: int, end: int) -> list[object]:
        tried.append((start, end))
        return []

    isolate(work, size, 2)

    assert tried == pieces


def test_the_number_of_failures_is_bounded(monkeypatch):
    """A query that fails for every row is no fault of a row."""
    monkeypatch.setattr(reading, "MAX_FAILURES", 20)
    attempts = []

    def work(start, end):
        attempts.append(start)
        raise DataError("all of them")

    with pytest.raises(DataError, match="all of them"):
        isolate(work, 1000)
    assert len(attempts) == 21


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("server closed the connection unexpectedly"),
        OperationalError("canceling statement due to statement timeout"),
        InterfaceError("connection already closed"),
        ProgrammingError('relation "x" does not exist'),
        FieldError("Cannot resolve keyword"),
        MemoryError(),
        of_sqlite("database is locked", 5),
        of_sqlite("interrupted", 9),
        of_sqlite("disk I/O error", 10 | 1 << 8),
        of_sqlite("no such column: x", 1),
        of_sqlite("no such table: x", 1),
        of_sqlite('near "x": syntax error', 1),
    ],
    ids=str,
)
def test_what_no_row_is_to_blame_for_is_raised_at_once(error):
    """The connection, the time, the query: repeating it for each half would not help."""
    attempts = []

    def work(start, end):
        attempts.append(start)
        raise error

    assert not is_of_a_row(error)
    with pytest.raises(type(error)):
        isolate(work, 8)
    assert len(attempts) == 1


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"), KeyError("x"), RecursionError(), ZeroDivisionError(), UnicodeError("x"),
        DataError("date too large"), InternalError("missing chunk number 0 for toast value"),
        of_sqlite("Could not decode to UTF-8 column 'label' with text '�'", None),
        of_sqlite("malformed JSON", 1), of_sqlite("integer overflow", 1),
        of_sqlite("user-defined function raised exception", 1),
    ],
    ids=str,
)  # fmt: skip
def test_what_the_data_of_a_row_may_cause_is_isolated(error):
    assert is_of_a_row(error)
