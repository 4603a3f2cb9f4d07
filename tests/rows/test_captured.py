"""Captured values; tests/contract/test_text_form.py has what holds for every kind of column on every database."""

from unittest.mock import Mock

import pytest

from realtime.boards.models import Entry
from realtime.rows.captured import CapturedColumn

BOARD, LABEL = Entry._meta.get_field("board"), Entry._meta.get_field("label")


@pytest.mark.parametrize("value", [0, 7, 2**62, -1, "", "text", "7"])
def test_equal_values_are_converted_once(db, value):
    """Thousands of images name one topic."""
    convert = Mock(side_effect=lambda value: [value])
    column = CapturedColumn(LABEL if isinstance(value, str) else BOARD, convert)
    name = "label" if isinstance(value, str) else "board_id"

    found = [column.value({name: value}) for _ in range(3)]

    assert found == [[value]] * 3
    convert.assert_called_once_with(value)


def test_values_that_only_seem_equal_are_converted_each(db):
    """In Python 1, 1.0 and True are equal, and a list has no hash."""
    convert = Mock(side_effect=repr)
    column = CapturedColumn(BOARD, convert)

    found = [column.value({"board_id": value}) for value in (1, True, ["1.5e0"], ["1.5e0"], 1)]

    assert found == ["1", "True", "1.5", "1.5", "1"]


@pytest.mark.parametrize(
    ("value", "error"), [(2**63, "holds"), (-(2**63) - 1, "holds"), ("\ud800", "surrogates")], ids=str
)
def test_a_value_that_no_row_has_is_an_error_each_time(db, value, error):
    """It is not taken for one that is known."""
    column = CapturedColumn(LABEL if isinstance(value, str) else BOARD)
    image = {"label": value} if isinstance(value, str) else {"board_id": value}

    for _ in range(2):
        with pytest.raises(ValueError, match=error):
            column.value(image)
