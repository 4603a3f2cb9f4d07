"""Forms of PostgreSQL's columns as SQL; tests/contract/test_text_form.py tries every kind of field in a server."""

import pytest

from realtime.databases.postgresql import columns
from realtime.databases.postgresql.columns import Type


@pytest.mark.parametrize(
    "names, settings",
    [
        (["int8", "text", "uuid", "numeric", "bool", "inet"], []),
        (["timestamptz", "date"], ["timezone = 'UTC'", "datestyle = 'ISO'"]),
        (["float8"], ["extra_float_digits = '1'"]),
        (["interval"], ["intervalstyle = 'postgres'"]),
    ],
)
def test_a_type_needs_the_settings_that_its_text_depends_on(names, settings):
    assert columns.settings([Type(name=name) for name in names]) == settings


@pytest.mark.parametrize("name", ["_float8", "tstzrange", "of_an_extension", ""])
def test_a_type_that_is_not_known_needs_all_settings(name):
    """It may contain values of any other type."""
    assert len(columns.settings([Type(name=name)])) == 5


def test_values_are_told_apart_by_their_text():
    """Not by the equality of their type, for which 1.1 and 1.10 are the same, nor by their collation."""
    assert columns.distinct('"id"', Type(name="int8")) == '"id"'
    assert columns.distinct('"price"', Type(name="numeric")) == '"price"::text COLLATE "C"'
    assert columns.distinct('"name"', Type(name="citext")).endswith('concat("name") END COLLATE "C"')


def test_a_column_that_is_computed_when_it_is_read_is_known_by_its_expression():
    """In a statement for Django's cursor, in which a percent sign is two."""
    assert columns.distinct('"odd"', Type(name="int4", expression="CAST((a % 2) AS integer)")) == (
        "CAST((a %% 2) AS integer)"
    )
