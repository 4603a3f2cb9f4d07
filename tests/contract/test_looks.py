"""The looks of boards' own statuses are written into rows by the job, by the query that each database has for it."""

import pytest
from django.db import connection

from realtime.boards import due
from realtime.boards.models import Board, Entry, Sorting

WRITES = {
    "another_status": "UPDATE boards_entry SET status = 'late' WHERE board_id = %s",
    "another_word": "UPDATE boards_boardstatus SET word = 'Go', icon = 'lock' WHERE board_id = %s",
    "another_place": "UPDATE boards_boardstatus SET position = 40 - position WHERE board_id = %s",
    "one_less": "DELETE FROM boards_boardstatus WHERE board_id = %s AND name = 'open'",
    "another_language": "UPDATE boards_board SET language = 'de', time_zone = 'Asia/Tokyo' WHERE id = %s",
}


@pytest.mark.parametrize("statement", WRITES.values(), ids=WRITES)
def test_what_sql_writes_is_in_the_rows_after_the_job(database, statement):
    """Looks, order, language and zone; a second run of the job finds nothing to do."""
    board = Board.objects.create(slug="looks", title="Looks", sorting=Sorting.STATUS)
    for place, name in ((10, "open"), (20, "late")):
        board.statuses.create(name=name, word=name.title(), position=place)
    Entry(board=board, label="Gate", status="open").save()
    due.write_due()

    with connection.cursor() as cursor:
        cursor.execute(statement, [board.pk])
    due.write_due()

    board, entry = Board.objects.get(pk=board.pk), Entry.objects.get(board=board)
    own = board.own_status(entry.status)
    assert entry.look == (own.look if own else "")
    assert entry.rank == -board.severity(entry.status)
    assert (entry.language, entry.clock) == (board.language, board.time_zone)
    assert [[*entries] for entries in due.misplaced()] == [[], [], []]
