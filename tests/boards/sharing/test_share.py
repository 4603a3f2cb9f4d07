"""The page "Share" of a board: for users who may change it."""

import re

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from realtime.boards.exchange.models import RowToken


@pytest.fixture
def address(board):
    return reverse("boards:share", args=[board.slug])


def test_a_token_is_shown_once(editor_client, editor, board, address):
    """With the command that uses it; later pages have its name, and no cache keeps the page that has it."""
    made = editor_client.post(f"{address}tokens/", {"name": "Timetable"})

    text = re.search(r'class="made-text"[^>]*value="([^"]+)"', made.content.decode())[1]
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
    """By which its users know what they would revoke."""
    response = editor_client.post(f"{address}tokens/", {"name": name})

    assert "errorlist" in response.content.decode()
    assert not RowToken.objects.exists()


def test_a_name_is_text_on_the_page(editor_client, board, editor, address):
    """Whatever it has."""
    editor_client.post(f"{address}tokens/", {"name": "<script>alert(1)</script>"})

    assert "<script>alert(1)" not in editor_client.get(address).content.decode()


def test_only_those_who_may_change_a_board_share_it(client, visitor, editor, board, address):
    """And only those who may write its entries make tokens that do."""
    ways = [("get", address), ("post", f"{address}tokens/"), ("post", f"{address}tokens/1/revoke/")]
    for user in (None, visitor):
        if user:
            client.force_login(user)
        assert [getattr(client, method)(path).status_code for method, path in ways] == [302, 302, 302]

    editor.groups.clear()
    editor.user_permissions.add(Permission.objects.get(codename="change_board"))
    client.force_login(editor)
    assert [getattr(client, method)(path).status_code for method, path in ways] == [200, 302, 302]
    assert "Make a token" not in client.get(address).content.decode()


@pytest.mark.parametrize("path", ["tokens/", "tokens/1/revoke/"])
def test_a_link_does_nothing(editor_client, address, path):
    """Only a form does."""
    assert editor_client.get(f"{address}{path}").status_code == 405


def test_editors_find_it_on_the_board(client, editor_client, board, address):
    """Beside the other tools."""
    assert f'href="{address}"' in editor_client.get(board.get_absolute_url()).content.decode()
    editor_client.logout()
    assert address not in client.get(board.get_absolute_url()).content.decode()
