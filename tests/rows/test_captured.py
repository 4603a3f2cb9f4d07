"""Captured values; tests/contract/test_text_form.py has what holds for every kind of column on every database."""

from unittest.mock import Mock

import pytest
from django.db import OperationalError, models

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


def field(kind: type[models.Field], **options) -> models.Field:
    made = kind(**options)
    made.set_attributes_from_name("value")
    made.model = Entry
    return made


@pytest.mark.parametrize(
    "kind, noted, is_usual",
    [
        (models.UUIDField, "0123456789abcdef0123456789abcdef", True),
        (models.UUIDField, "01234567-89ab-cdef-0123-456789abcdef", False),
        (models.UUIDField, "garbage", False),
        (models.UUIDField, None, True),
        (models.DateField, "2026-03-04", True),
        (models.DateField, "garbage", False),
        (models.DateField, "2026-02-30", False),
        (models.DateTimeField, "garbage", False),
        (models.GenericIPAddressField, "10.0.0.1", True),
        (models.IntegerField, 2**63, False),
    ],
)
def test_a_value_that_django_cannot_read_or_write_is_in_another_form(db, kind, noted, is_usual):
    """Django may read it as None; a row can refer to it all the same."""
    assert CapturedColumn(field(kind)).is_as_django_writes({"value": noted}) is is_usual


def test_a_database_that_is_away_is_no_other_form(db):
    """The round is repeated."""

    def convert(value):
        raise OperationalError("away")

    with pytest.raises(OperationalError):
        CapturedColumn(LABEL, convert).is_as_django_writes({"label": "text"})
