"""Cursors are compared by value, and copied where two subscribers part."""

from realtime.engine.cursor import Cursor
from realtime.engine.messages import WireFormat


def test_a_copy_is_equal_until_one_of_the_two_moves():
    """It keeps every field, and moving one cursor leaves the other where it is."""
    cursor = Cursor(WireFormat("html", "msgpack"), 7, 2, is_ahead=True)

    copy = cursor.copy()
    assert copy == cursor
    copy.offset = 8

    assert cursor == Cursor(WireFormat("html", "msgpack"), 7, 2, is_ahead=True)
