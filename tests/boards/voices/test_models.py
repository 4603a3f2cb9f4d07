"""Viewers' rights on a board: none, until its editor switches them on."""

import pytest

from realtime.boards.models import Board
from realtime.boards.voices.models import SIGNS, Kind, State


def test_everything_is_off_by_default(board):
    """Also on a board that SQL has inserted: the columns have defaults."""
    board = Board.objects.get(pk=board.pk)

    assert (board.takes_messages, board.messages_on_walls, board.shows_viewers, board.kinds) == (
        False,
        False,
        False,
        [],
    )


@pytest.mark.parametrize(
    "text, kinds",
    [
        ("thumb heart", [Kind.THUMB, Kind.HEART]),
        ("heart thumb heart", [Kind.THUMB, Kind.HEART]),
        ("thumbs <b> eyes", [Kind.EYES]),
        ("   ", []),
    ],
)
def test_a_board_has_the_reactions_that_exist(text, kinds):
    """In one order; SQL can write any text into the column."""
    assert Board(reactions=text).kinds == kinds


def test_every_reaction_has_a_sign():
    assert [*SIGNS] == Kind.values


def test_a_message_waits_for_approval(board):
    assert board.messages.create(text="Hello").state == State.WAITING
