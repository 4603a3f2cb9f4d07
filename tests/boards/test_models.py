import pytest
from django.db import connection
from django.urls import reverse

from realtime.boards.models import Board, Entry


def keys(boards):
    return {board.slug for board in boards}


def test_staff_see_every_board_and_others_the_public_ones(board, staff_board, anonymous, visitor, editor):
    """Only staff see a board that is not public."""
    assert keys(Board.objects.visible_to(editor)) == {"quay", "safe"}
    assert keys(Board.objects.visible_to(visitor)) == {"quay"}
    assert keys(Board.objects.visible_to(anonymous)) == {"quay"}


def test_an_inactive_editor_sees_the_public_boards_only(board, staff_board, editor):
    """An inactive user does not count as staff."""
    editor.is_active = False

    assert keys(Board.objects.visible_to(editor)) == {"quay"}


def test_sql_can_create_an_entry_from_board_and_label(board):
    """The database has defaults for all other columns."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO boards_entry (board_id, label) VALUES (%s, 'By hand')", [board.pk])

    entry = Entry.objects.get()

    assert (entry.value, entry.unit, entry.status, entry.note) == ("", "", "", "")
    assert (entry.position, entry.is_visible) == (0, True)
    assert entry.updated is not None


def test_sql_can_create_a_board_from_slug_and_title(db):
    """The database has defaults for all other columns; the board is public."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO boards_board (slug, title) VALUES ('by-hand', 'By hand')")

    assert Board.objects.get().is_public


@pytest.mark.parametrize("title", ["a\x0bb", "\x1b[1m", "a\x7f", "\ufffe"])
@pytest.mark.parametrize("where", ["new board", "admin"])
def test_a_title_has_no_control_characters(admin_client, where, title):
    """It is part of files that cannot have them."""
    address = reverse("boards:new" if where == "new board" else "admin:boards_board_add")

    response = admin_client.post(address, {"title": title, "slug": "odd", "kind": "departures"})

    form = response.context["form" if where == "new board" else "adminform"]
    assert "control characters" in str(form.errors["title"])
    assert not Board.objects.filter(slug="odd").exists()
