"""Exact forms of SQLite's values, and back; tests/contract/test_text_form.py tries every kind of field."""

import datetime
import json
import random
import sqlite3
import struct
from decimal import Decimal

import pytest
from django.db import connection, models

from realtime.databases.sqlite import columns
from realtime.publishing import outbox_records


def field(kind: type, **options: object) -> "models.Field":
    made: models.Field = kind(**options)
    made.set_attributes_from_name("value")
    return made


def recorded(value: object) -> object:
    """Return what an image has of a value, as the sequencer reads it."""
    expression = columns.exact("value").replace("%%", "%")
    with sqlite3.connect(":memory:") as plain:
        (image,) = plain.execute(
            f"SELECT json_object('value', {expression}) FROM (SELECT ? AS value)", [value]
        ).fetchone()
    return outbox_records.decode(image)["value"]


def test_every_float_is_exact(db):
    """To the last bit, from the smallest to the largest."""
    source = random.Random(7)
    numbers = [struct.unpack("d", source.randbytes(8))[0] for _ in range(2000)]
    numbers += [0.1 + 0.2, 5e-324, 1.7976931348623157e308, 2.0**53, -0.5, float("inf"), -float("inf")]
    for number in numbers:
        if number == number:
            assert columns.value(connection, field(models.FloatField), recorded(number)) == number


@pytest.mark.parametrize(
    "value", [None, 2**63 - 1, -(2**63), "1.10", "x00", "[1]", "\0 null", "", b"", b"\0\xff"]
)
def test_values_of_other_types_are_exact(db, value):
    found = columns.value(connection, field(models.TextField), recorded(value))

    assert (found, type(found)) == (value, type(value))


def test_values_are_converted_as_the_driver_converts_them(db):
    """By the type that the column is declared with."""
    read = columns.value(connection, field(models.DateTimeField), "2026-03-04 05:06:07")

    assert read == datetime.datetime(2026, 3, 4, 5, 6, 7)
    assert columns.value(connection, field(models.BooleanField), 1) is True
    assert columns.value(connection, field(models.BooleanField), 0) is False


def test_numbers_of_older_triggers_are_floats(db):
    (number,) = json.loads("[1.5]", parse_float=Decimal)

    assert columns.value(connection, field(models.FloatField), number) == 1.5
