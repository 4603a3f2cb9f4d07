"""Which columns may hold values by which their rows are not found; tests/contract/test_text_form.py has the forms."""

import uuid

import pytest
from django.db import models

from realtime.boards.models import Board, Entry
from realtime.rows import stored_forms


class Folded(models.CharField):
    """A field that reads other values than its column has."""

    def from_db_value(self, value, expression, connection):
        return value.lower()


@pytest.mark.parametrize(
    ("field", "several"),
    [
        (models.UUIDField(), True),
        (models.DateTimeField(), True),
        (Folded(), True),
        (models.IntegerField(), False),
        (models.CharField(), False),
        (Entry._meta.get_field("board"), False),
    ],
    ids=["uuid", "datetime", "converted", "integer", "char", "foreign key to an integer"],
)
def test_columns_of_some_kinds_hold_several_forms_of_a_value(field, several):
    """On SQLite, which the tests use: the others need no further query."""
    assert stored_forms.has_several(field) is several


@pytest.mark.django_db
def test_keys_that_are_not_found_or_fail_are_left_out(monkeypatch):
    """A key for which the query fails is not the key of a row; the others are searched for without it."""
    monkeypatch.setattr(stored_forms, "AT_ONCE", 2)
    boards = [Board.objects.create(slug=f"s{number}", title="T") for number in range(3)]
    keys = [boards[0].pk, "x", boards[1].pk, -1, uuid.uuid4(), boards[2].pk]

    assert stored_forms.found(Board.objects.all(), keys) == {board.pk for board in boards}
