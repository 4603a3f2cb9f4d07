"""The feeds of the demo: who may subscribe to them, and which rows they have."""

import pytest

from realtime.boards.models import Board
from realtime.feeds import registry


def keys(boards):
    return {board.slug for board in boards}


@pytest.mark.parametrize("name", ["entries", "board"])
def test_topics_of_a_board_are_for_those_who_see_the_board(
    name, board, staff_board, anonymous, visitor, editor
):
    """The same users may subscribe to a board's topics and open its page."""
    feed = registry[name]

    assert [feed.can_subscribe(user, board.pk) for user in (anonymous, visitor, editor)] == [True, True, True]
    assert [feed.can_subscribe(user, staff_board.pk) for user in (anonymous, visitor, editor)] == [
        False,
        False,
        True,
    ]
    assert not feed.can_subscribe(editor, 10**6)


def test_the_right_to_a_topic_ends_when_the_board_stops_being_public(board, visitor):
    """Every check reads the database."""
    Board.objects.update(is_public=False)

    assert not registry["entries"].can_subscribe(visitor, board.pk)


def test_lists_of_boards_are_two_topics_with_two_rights(board, staff_board, anonymous, visitor, editor):
    """Everyone may follow the public boards and staff the others; no board is in both lists."""
    public, staff = registry["boards"], registry["staffboards"]

    assert [public.can_subscribe(user, None) for user in (anonymous, visitor, editor)] == [True, True, True]
    assert [staff.can_subscribe(user, None) for user in (anonymous, visitor, editor)] == [False, False, True]
    assert keys(public.topic_rows(None)) == {"quay"}
    assert keys(staff.topic_rows(None)) == {"safe"}


def test_a_hidden_entry_is_not_in_the_topic(board, entry):
    """A hidden entry is sent to no subscriber."""
    board.entries.create(label="Hidden", is_visible=False)

    assert [row.label for row in registry["entries"].topic_rows(board.pk)] == ["Saltmere"]


def test_entries_are_in_the_order_of_their_positions(board):
    """Positions are sorted from low to high, entries of the same position by creation."""
    for label, position in [("third", 2), ("first", -1), ("second", 0), ("fourth", 2)]:
        board.entries.create(label=label, position=position)

    assert [row.label for row in registry["entries"].topic_rows(board.pk)] == [
        "first",
        "second",
        "third",
        "fourth",
    ]
