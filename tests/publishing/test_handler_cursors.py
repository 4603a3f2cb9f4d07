"""Stored cursors: of two processes one moves them."""

import pytest

from realtime.publishing import handler_cursors
from realtime.publishing.handler_cursors import WHOLE, Cursor

pytestmark = pytest.mark.django_db


def test_a_cursor_is_stored_as_it_is():
    """The first one stays, whichever process begins later."""
    first = Cursor("ab", 5, entry=7, done=2, reading="probe.1", after_key="k", read_at=6)

    handler_cursors.begin("one", first)
    handler_cursors.begin("one", Cursor("ab", 9))

    stored = handler_cursors.read("one")
    assert stored is not None
    assert (stored.cursor, stored.failures) == (first, 0)
    assert handler_cursors.read("other") is None


def test_of_two_moves_from_one_place_the_first_counts():
    """The other process learns that it was too slow."""
    handler_cursors.begin("one", Cursor("ab", 5))
    stored = handler_cursors.read("one")
    assert stored is not None

    moved = handler_cursors.move(stored, stored.cursor.past(6, 1))

    assert moved is not None
    assert moved == handler_cursors.read("one")
    assert moved.cursor == Cursor("ab", 6, entry=1)
    assert handler_cursors.move(stored, Cursor("ab", 99)) is None


def test_failures_are_counted_until_the_cursor_moves():
    """The latest error is kept, not more of it than a screen shows."""
    handler_cursors.begin("one", Cursor("ab", 5))
    handler_cursors.note_failure("one", "first")
    handler_cursors.note_failure("one", "x" * 5000)
    stored = handler_cursors.read("one")
    assert stored is not None
    assert stored.failures == 2

    handler_cursors.move(stored, stored.cursor)

    again = handler_cursors.read("one")
    assert again is not None
    assert again.failures == 0


def test_the_slowest_of_some_functions_is_known():
    """Functions of another epoch do not count: the log has nothing for them."""
    for name, cursor in {"a": Cursor("ab", 5), "b": Cursor("ab", 3, WHOLE), "c": Cursor("cd", 1)}.items():
        handler_cursors.begin(name, cursor)

    assert handler_cursors.slowest(["a", "b", "c"], "ab") == 3
    assert handler_cursors.slowest(["a"], "ab") == 5
    assert handler_cursors.slowest([], "ab") is None
