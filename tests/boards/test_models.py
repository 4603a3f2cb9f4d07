import pytest
from django.db import connection

from realtime.boards.models import Board, Entry
from realtime.feeds import registry


def keys(boards):
    return {board.slug for board in boards}


def test_staff_see_every_board_and_others_the_public_ones(board, staff_board, anonymous, visitor, editor):
    """A board that is not public exists for staff only."""
    assert keys(Board.objects.visible_to(editor)) == {"quay", "safe"}
    assert keys(Board.objects.visible_to(visitor)) == {"quay"}
    assert keys(Board.objects.visible_to(anonymous)) == {"quay"}


def test_a_dismissed_editor_sees_the_public_boards_only(board, staff_board, editor):
    """Who is no longer active is no longer staff."""
    editor.is_active = False

    assert keys(Board.objects.visible_to(editor)) == {"quay"}


def test_plain_sql_needs_a_board_and_a_label_only(board):
    """Whatever else an entry has, the database fills in."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO boards_entry (board_id, label) VALUES (%s, 'By hand')", [board.pk])

    entry = Entry.objects.get()

    assert (entry.value, entry.unit, entry.status, entry.note) == ("", "", "", "")
    assert (entry.position, entry.is_visible) == (0, True)
    assert entry.updated is not None


def test_plain_sql_creates_a_board_from_slug_and_title(db):
    """Whatever else a board has, the database fills in; it is public."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO boards_board (slug, title) VALUES ('by-hand', 'By hand')")

    assert Board.objects.get().is_public


@pytest.mark.parametrize("name", ["entries", "board"])
def test_topics_of_a_board_are_for_those_who_see_the_board(
    name, board, staff_board, anonymous, visitor, editor
):
    """The right to a board's topics is the right to its page."""
    feed = registry[name]

    assert [feed.can_subscribe(user, board.pk) for user in (anonymous, visitor, editor)] == [True, True, True]
    assert [feed.can_subscribe(user, staff_board.pk) for user in (anonymous, visitor, editor)] == [
        False,
        False,
        True,
    ]
    assert not feed.can_subscribe(editor, 10**6)


def test_the_right_to_a_topic_ends_when_the_board_stops_being_public(board, visitor):
    """The right is asked of the database, each time."""
    Board.objects.update(is_public=False)

    assert not registry["entries"].can_subscribe(visitor, board.pk)


def test_lists_of_boards_are_two_topics_with_two_rights(board, staff_board, anonymous, visitor, editor):
    """Everyone may follow the public boards, staff the others; no board is in both lists."""
    public, staff = registry["boards"], registry["staffboards"]

    assert [public.can_subscribe(user, None) for user in (anonymous, visitor, editor)] == [True, True, True]
    assert [staff.can_subscribe(user, None) for user in (anonymous, visitor, editor)] == [False, False, True]
    assert keys(public.topic_rows(None)) == {"quay"}
    assert keys(staff.topic_rows(None)) == {"safe"}


def test_a_hidden_entry_is_not_in_the_topic(board, entry):
    """What an editor hides, nobody is sent."""
    board.entries.create(label="Hidden", is_visible=False)

    assert [row.label for row in registry["entries"].topic_rows(board.pk)] == ["Saltmere"]


def test_entries_are_in_the_order_of_their_positions(board):
    """From low to high; equal ones as they were created."""
    for label, position in [("third", 2), ("first", -1), ("second", 0), ("fourth", 2)]:
        board.entries.create(label=label, position=position)

    assert [row.label for row in registry["entries"].topic_rows(board.pk)] == [
        "first",
        "second",
        "third",
        "fourth",
    ]
