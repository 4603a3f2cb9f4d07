"""Captures: what triggers record, and names that show whether they are up to date."""

import pytest

from realtime.databases.captures import Capture, literal

CAPTURE = Capture("a_table", ("id", "shelf"), (("id",), ("shelf", "place")))


def test_named_columns_are_those_that_any_trigger_names():
    """The columns of the image, and those that are unique together."""
    assert CAPTURE.named_columns == {"id", "shelf", "place"}


def test_a_trigger_keeps_its_name_while_its_definition_stays():
    """Then a starting server need not touch it."""
    assert CAPTURE.trigger_name("insert", "a body") == CAPTURE.trigger_name("insert", "a body")


@pytest.mark.parametrize(
    "other",
    [
        CAPTURE.trigger_name("insert", "another body"),
        CAPTURE.trigger_name("delete", "a body"),
        Capture("b_table", CAPTURE.columns, CAPTURE.unique).trigger_name("insert", "a body"),
    ],
    ids=["body", "event", "table"],
)
def test_another_definition_has_another_name(other):
    """Comparing names finds every outdated trigger."""
    assert CAPTURE.trigger_name("insert", "a body") != other


def test_a_trigger_name_fits_into_every_database():
    """PostgreSQL cuts names at 63 characters."""
    assert len(Capture("t" * 63, (), ()).trigger_name("truncate", "x" * 9999)) <= 63


def test_a_literal_survives_quotes_and_placeholders():
    """The statement passes through Django's cursor, where % begins a placeholder."""
    assert literal("it's 100%") == "it''s 100%%"
