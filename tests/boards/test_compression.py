"""Which pages are compressed."""

import gzip

import pytest
from django.urls import reverse

from realtime.boards.models import Board

GZIP = {"HTTP_ACCEPT_ENCODING": "gzip"}


@pytest.mark.parametrize("name", ["index", "board", "embed"])
def test_pages_of_visitors_without_cookies_are_compressed(client, board, entry, name):
    """The content is the same; caches are told on what it depends."""
    address = reverse(f"boards:{name}", args=[] if name == "index" else [board.slug])

    plain, small = client.get(address), client.get(address, **GZIP)

    assert small["Content-Encoding"] == "gzip"
    assert len(small.content) < len(plain.content) / 1.5
    assert b"The quay" in gzip.decompress(small.content)
    assert "Accept-Encoding" in small["Vary"]
    assert "Content-Encoding" not in plain


def test_pages_with_a_secret_are_not_compressed(editor_client, board):
    """The token of a form could be told from the size of a page that also contains what an attacker chooses."""
    response = editor_client.get(board.get_absolute_url(), **GZIP)

    assert b"csrfmiddlewaretoken" in response.content
    assert "Content-Encoding" not in response


def test_a_page_with_a_form_of_visitors_is_not_compressed(client, board):
    """A board that takes messages has a token for each visitor, also for those who come without cookies."""
    Board.objects.filter(pk=board.pk).update(takes_messages=True)

    response = client.get(board.get_absolute_url(), **GZIP)

    assert b"csrfmiddlewaretoken" in response.content
    assert "Content-Encoding" not in response


def test_a_page_is_not_compressed_for_a_visitor_with_a_cookie(client, board):
    client.cookies["sessionid"] = "of somebody"

    response = client.get(board.get_absolute_url(), **GZIP)

    assert "Content-Encoding" not in response
