"""One text for all equal values of a topic field; tests/contract/test_text_form.py tries every kind of field."""

import datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.postgres import fields as postgres
from django.db import models
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange, NumericRange

from realtime.rows.topic_text import topic_text, unfit

UTC = datetime.UTC
NEPAL = datetime.timezone(datetime.timedelta(hours=5, minutes=45))
PRICE = models.DecimalField(max_digits=40, decimal_places=2)
NOON = datetime.datetime(2026, 3, 4, 12, tzinfo=UTC)


def named(field: Any) -> Any:
    field.set_attributes_from_name("value")
    return field


@pytest.mark.parametrize(
    "field, value, text",
    [
        (PRICE, Decimal("1.1"), "1.10"),
        (PRICE, Decimal("1E+2"), "100.00"),
        (PRICE, Decimal("-0.0"), "0.00"),
        (PRICE, Decimal("123456789012345678901234567890.1"), "123456789012345678901234567890.10"),
        (PRICE, Decimal("NaN"), "NaN"),
        (models.DecimalField(), Decimal("1.10"), "1.1"),
        (models.FloatField(), -0.0, "0.0"),
        (models.FloatField(), 0.1, "0.1"),
        (models.DateTimeField(), NOON, "2026-03-04 12:00:00+00:00"),
        (models.DateTimeField(), NOON.astimezone(NEPAL), "2026-03-04 12:00:00+00:00"),
        (models.DateField(), datetime.date(2026, 3, 4), "2026-03-04"),
        (models.CharField(), "1.10", "1.10"),
        (models.IntegerField(), 7, "7"),
        (postgres.ArrayField(models.IntegerField()), [1, 2], "[1, 2]"),
        (postgres.ArrayField(PRICE), [Decimal("1.1"), None], '["1.10", null]'),
        (postgres.ArrayField(models.CharField()), ["it's"], '["it\'s"]'),
    ],
    ids=repr,
)  # fmt: skip
def test_equal_values_have_one_text(field, value, text):
    assert topic_text(field, value) == text


@pytest.mark.parametrize(
    "field, one, same",
    [
        (
            postgres.DecimalRangeField(),
            NumericRange(Decimal("1.1"), None),
            NumericRange(Decimal("1.10"), None),
        ),
        (
            postgres.DateTimeRangeField(),
            DateTimeTZRange(NOON, None),
            DateTimeTZRange(NOON.astimezone(NEPAL), None),
        ),
        (postgres.IntegerRangeField(), NumericRange(empty=True), NumericRange(empty=True)),
    ],
)
def test_the_text_of_a_range_is_read_back(field, one, same):
    """By the field itself, as for any text in a topic's name."""
    text = topic_text(named(field), one)

    assert topic_text(field, same) == text
    assert topic_text(field, field.to_python(text)) == text


@pytest.mark.parametrize(
    "field, as_key, as_topic",
    [
        (models.BinaryField(), "binary", "binary"),
        (models.JSONField(), "JSON", "JSON"),
        (postgres.HStoreField(), "a mapping", "a mapping"),
        (postgres.ArrayField(models.IntegerField()), "an array", ""),
        (postgres.DateRangeField(), "a range", ""),
        (models.ImageField(), "a file", ""),
        (models.UUIDField(), "", ""),
        (models.TextField(), "", ""),
    ],
    ids=lambda value: type(value).__name__,
)
def test_fields_without_one_text_are_unfit(field, as_key, as_topic):
    assert (unfit(field, is_key=True), unfit(field, is_key=False)) == (as_key, as_topic)
