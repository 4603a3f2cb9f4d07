"""The page "Share" of a board: for users who may change it."""

import re

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from realtime.boards.exchange.models import RowToken
from realtime.boards.models import Board
from realtime.boards.sharing.models import BoardLink


@pytest.fixture
def address(board):
    return reverse("boards:share", args=[board.slug])


def test_a_token_is_shown_once(editor_client, editor, board, address):
    """With the command that uses it; later pages have its name, and no cache keeps the page that has it."""
    made = editor_client.post(f"{address}tokens/", {"name": "Timetable"})

    text = re.search(r'aria-label="Token" value="([^"]+)"', made.content.decode())[1]
    assert RowToken.found(text).made_by == editor
    assert f"Bearer {text}" in made.content.decode()
    assert "no-store" in made["Cache-Control"]
    page = editor_client.get(address).content.decode()
    assert text not in page
    assert "Timetable" in page


def test_a_revoked_token_is_gone(editor_client, board, editor, address):
    """At once."""
    token, text = RowToken.make(board, "Timetable", editor)

    response = editor_client.post(f"{address}tokens/{token.pk}/revoke/")

    assert response.url == address
    assert RowToken.found(text) is None
    assert "can no longer write this board" in editor_client.get(address).content.decode()


def test_a_token_of_another_board_is_not_revoked_here(editor_client, staff_board, editor, address):
    """It is not found."""
    token, text = RowToken.make(staff_board, "Timetable", editor)

    assert editor_client.post(f"{address}tokens/{token.pk}/revoke/").status_code == 404
    assert RowToken.found(text)


@pytest.mark.parametrize("name", ["", "x" * 101, "a\0"])
def test_a_token_needs_a_name(editor_client, address, name):
    """The name shows users what they would revoke."""
    response = editor_client.post(f"{address}tokens/", {"name": name})

    assert "errorlist" in response.content.decode()
    assert not RowToken.objects.exists()


def test_a_name_is_text_on_the_page(editor_client, board, editor, address):
    """Whatever characters it contains."""
    editor_client.post(f"{address}tokens/", {"name": "<script>alert(1)</script>"})

    assert "<script>alert(1)" not in editor_client.get(address).content.decode()


def test_only_those_who_may_change_a_board_share_it(client, visitor, editor, board, address):
    """And only those who may write its entries make tokens that do."""
    ways = [("get", address), ("post", f"{address}tokens/"), ("post", f"{address}tokens/1/revoke/")]
    others = [("post", f"{address}{path}") for path in ("sites/", "links/", "links/1/revoke/")]
    for user in (None, visitor):
        if user:
            client.force_login(user)
        assert [getattr(client, method)(path).status_code for method, path in ways + others] == [302] * 6

    editor.groups.clear()
    editor.user_permissions.add(Permission.objects.get(codename="change_board"))
    client.force_login(editor)
    assert [getattr(client, method)(path).status_code for method, path in ways] == [200, 302, 302]
    assert "Make a token" not in client.get(address).content.decode()


@pytest.mark.parametrize("path", ["tokens/", "tokens/1/revoke/", "links/", "links/1/revoke/", "sites/"])
def test_a_get_request_changes_nothing(editor_client, address, path):
    """Only a form makes or revokes anything."""
    assert editor_client.get(f"{address}{path}").status_code == 405


def test_editors_find_it_on_the_board(client, editor_client, board, address):
    """Beside the other tools."""
    assert f'href="{address}"' in editor_client.get(board.get_absolute_url()).content.decode()
    editor_client.logout()
    assert address not in client.get(board.get_absolute_url()).content.decode()


def test_a_secret_link_is_shown_once_with_its_code(editor_client, editor, board, address):
    """Its secret stands where browsers send it to no server."""
    made = editor_client.post(f"{address}links/", {"name": "Lobby"})

    html = made.content.decode()
    text = re.search(r'aria-label="Secret link" value="http://testserver/link/#([^"]+)"', html)[1]
    assert BoardLink.found(text).made_by == editor
    assert "<svg" in html
    assert "no-store" in made["Cache-Control"]
    assert text not in editor_client.get(address).content.decode()


def test_a_link_is_revoked(editor_client, board, staff_board, editor, address):
    """By the page of its own board."""
    link, text = BoardLink.make(board, "Lobby", editor)
    other, _ = BoardLink.make(staff_board, "Lobby", editor)

    assert editor_client.post(f"{address}links/{other.pk}/revoke/").status_code == 404
    editor_client.post(f"{address}links/{link.pk}/revoke/")

    assert BoardLink.found(text) is None
    assert BoardLink.objects.get() == other


def sites(client, address, text, shown=None):
    """Send the form of sites, as it was shown."""
    token = shown or re.search(r'name="shown" value="([^"]+)"', client.get(address).content.decode())[1]
    return client.post(f"{address}sites/", {"embed_origins": text, "shown": token})


def test_sites_are_stored(editor_client, board, address):
    """The page for frames then names them."""
    assert sites(editor_client, address, "https://example.com").url == address

    board.refresh_from_db()
    assert board.embed_origins == "https://example.com"
    assert "https://example.com</textarea>" in editor_client.get(address).content.decode()


def test_a_text_that_is_not_a_site_is_refused_and_stays_in_the_form(editor_client, board, address):
    """With the line that is wrong."""
    html = sites(editor_client, address, "https://example.com\nexample.org").content.decode()

    assert "“example.org” is not the address of a site" in html
    assert "example.org</textarea>" in html
    board.refresh_from_db()
    assert board.embed_origins == ""


def test_two_who_change_the_sites_at_once_are_asked(editor_client, board, address):
    """The second one does not undo what the first has done."""
    shown = re.search(r'name="shown" value="([^"]+)"', editor_client.get(address).content.decode())[1]
    Board.objects.filter(pk=board.pk).update(embed_origins="https://first.example")

    html = sites(editor_client, address, "https://second.example", shown).content.decode()

    assert "Changed meanwhile to “https://first.example”" in html
    board.refresh_from_db()
    assert board.embed_origins == "https://first.example"


def test_a_private_board_says_that_it_has_no_feeds(editor_client, staff_board, board):
    """And a public one leads to them."""
    private = editor_client.get(reverse("boards:share", args=[staff_board.slug])).content.decode()
    public = editor_client.get(reverse("boards:share", args=[board.slug])).content.decode()

    assert "It has no feeds" in private
    assert "/feed/" not in private
    assert [f"/boards/quay/feed/{kind}/" in public for kind in ("rss", "atom", "json")] == [True] * 3
