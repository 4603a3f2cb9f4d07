"""A board on which viewers may do everything, and a server that has not counted any request yet."""

import pytest

from realtime.boards.voices import rates
from realtime.boards.voices.rates import Rate


@pytest.fixture(autouse=True)
def unused_rates(monkeypatch):
    monkeypatch.setattr(rates, "messages", Rate(1 / 20, 5, 10))
    monkeypatch.setattr(rates, "reactions", Rate(1, 30, 20))


def switch_on(board):
    board.takes_messages = board.messages_on_walls = board.shows_viewers = True
    board.reactions = "thumb heart"
    board.save()
    return board


@pytest.fixture
def open_board(board):
    return switch_on(board)


@pytest.fixture
def open_staff_board(staff_board):
    return switch_on(staff_board)
