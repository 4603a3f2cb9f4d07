"""The language of a board."""

import pytest
from django.core.exceptions import ValidationError

from realtime.boards.languages import language_named, validate_language


@pytest.mark.parametrize(
    "name, found", [("de", "de"), ("en-gb", "en-gb"), ("", "en-gb"), ("xx", "en-gb"), ("DE; drop", "en-gb")]
)
def test_a_board_without_a_language_has_that_of_the_site(name, found):
    """SQL can write any text."""
    assert language_named(name) == found


@pytest.mark.parametrize("name", ["xx", "fr", "DE", "de-de"])
def test_a_language_that_the_site_does_not_have_is_refused(name):
    with pytest.raises(ValidationError):
        validate_language(name)
