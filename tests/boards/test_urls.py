"""The addresses of the demo's pages."""

import pytest
from django.urls import resolve, reverse


@pytest.mark.parametrize("slug", ["quay", "a board", "à/b", "50%", "?x#y"])
def test_every_slug_has_an_address(slug):
    """SQL can write any text into a slug, and an address that cannot be made would break the list of boards."""
    address = reverse("boards:board", args=[slug])

    assert address.startswith("/boards/")
    assert "?" not in address
    assert "#" not in address


def test_the_index_is_the_front_page():
    assert reverse("boards:index") == "/"
    assert resolve("/").view_name == "boards:index"
