"""Which sites may show a board in a frame."""

import pytest
from django.core.exceptions import ValidationError

from realtime.boards.sharing.origins import origins, validate_origins


@pytest.mark.parametrize(
    "origin",
    ["https://example.com", "http://localhost:8080", "https://a-b.example.co.uk", "http://[::1]:8000", "https://10.0.0.1"],
)  # fmt: skip
def test_the_address_of_a_site_is_accepted(origin):
    """As browsers name it in the header Origin; a slash at its end and capitals are what people type."""
    validate_origins(f"\n {origin.upper()}/ \n\n")

    assert origins(f"\n {origin.upper()}/ \r\n\n") == [origin]


@pytest.mark.parametrize(
    "text",
    ["example.com", "*", "https://*.example.com", "https://example.com/page", "'self'", "https:", "data:", "null",
     "https://a; script-src *", "https://a b", "https://a,https://b", "https://user@example.com", "https://exämple.com",
     "https://example.com:port", "javascript://a", "https://a\tb", "https://-a"],
)  # fmt: skip
def test_any_other_text_is_refused_and_reaches_no_header(text):
    """It would stand in the policy of a page, where ``;`` begins another directive."""
    with pytest.raises(ValidationError):
        validate_origins(text)

    assert origins(text) == []


def test_the_number_of_sites_is_limited():
    """They are sent with every page."""
    text = "\n".join(f"https://s{number}.example" for number in range(21))

    with pytest.raises(ValidationError, match="20 sites"):
        validate_origins(text)

    assert len(origins(text)) == 20
