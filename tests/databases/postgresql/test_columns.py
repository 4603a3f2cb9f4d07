"""Forms of PostgreSQL's columns as SQL; tests/contract/test_text_form.py tries every kind of field in a server."""

import pytest

from realtime.databases.postgresql import columns


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
    assert columns.settings(names) == settings


@pytest.mark.parametrize("name", ["_float8", "tstzrange", "of_an_extension", ""])
def test_a_type_that_is_not_known_needs_all_settings(name):
    """It may contain values of any other type."""
    assert len(columns.settings([name])) == 5


def test_values_are_told_apart_by_their_text():
    """Not by the equality of their type, for which 1.1 and 1.10 are the same, nor by their collation."""
    assert columns.distinct('"id"', "int8") == '"id"'
    assert columns.distinct('"price"', "numeric") == '"price"::text COLLATE "C"'
    assert columns.distinct('"name"', "citext").endswith('concat("name") END COLLATE "C"')
