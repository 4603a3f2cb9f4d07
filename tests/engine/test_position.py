"""Positions: their text, and which texts are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.engine.errors import BadPosition
from realtime.engine.position import Position


@given(st.text("abcdef0123456789", max_size=16), st.integers(0, 2**63 - 1))
def test_positions_survive_the_wire(epoch, offset):
    """Parsing the text of a position returns the position."""
    assert Position.parse(str(Position(epoch, offset))) == Position(epoch, offset)


LONGEST = "e" * 62 + ".1"


@pytest.mark.parametrize("text", [LONGEST, ".9223372036854775807"])
def test_the_longest_and_the_largest_position_are_read(text):
    """64 characters, and 63 bits: what the columns of the log hold."""
    assert str(Position.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        *["", ".", "5", "a.", "a.-1", "a.1.2", "a.1e3", "a.٣", "a b.1"],
        *["a." + "9" * 30, "a.9223372036854775808", f"e{LONGEST}"],
    ],
)
def test_other_texts_are_refused(text):
    """A position is letters or digits, a dot and digits, within 64 characters and 63 bits."""
    with pytest.raises(BadPosition):
        Position.parse(text)


@pytest.mark.parametrize(
    "one, other, covers",
    [
        (Position("a", 5), Position("a", 4), True),
        (Position("a", 5), Position("a", 5), True),
        (Position("a", 5), Position("a", 6), False),
        (Position("a", 5), Position("b", 4), False),
        (Position("a", 5), Position("b", 6), False),
        (Position("", 5), Position("a", 4), False),
    ],
    ids=str,
)
def test_a_position_covers_the_earlier_ones_of_its_epoch(one, other, covers):
    """Positions of two epochs do not compare."""
    assert one.covers(other) == covers
