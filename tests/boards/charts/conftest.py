"""A board with charts, and readings of its entry."""

from datetime import timedelta

import pytest
from django.utils import timezone

from realtime.boards.models import Board, Reading


@pytest.fixture
def board(board):
    Board.objects.update(chart_days=30)
    board.refresh_from_db()
    return board


@pytest.fixture
def read():
    """Stores a reading of an entry as it was some hours ago."""

    def read(entry, value, hours=0.0):
        return Reading.objects.create(entry=entry.pk, value=value, at=timezone.now() - timedelta(hours=hours))

    return read
