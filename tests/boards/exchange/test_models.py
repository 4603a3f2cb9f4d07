"""The rows that imports leave in the database."""

from realtime.boards.exchange.models import Batch, RowToken
from realtime.boards.models import Revision


def test_a_batch_takes_its_revisions_along(board):
    """The history shows a batch instead of its revisions: without it nothing would lead to them."""
    batch = Batch.objects.create(board=board.pk, summary="Import: 1 new")
    Revision.objects.create(entry=1, board=board.pk, values={}, batch=batch)

    batch.delete()

    assert not Revision.objects.exists()


def test_the_tokens_of_a_board_end_with_it(board, editor):
    """The right to write its rows means nothing without it."""
    RowToken.make(board, "Timetable", editor)

    board.delete()

    assert not RowToken.objects.exists()
