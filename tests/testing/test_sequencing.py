"""Each outbox row that a test's connection sees is delivered once."""

from realtime.boards.models import Board
from realtime.models import OutboxRow
from realtime.testing import sequence_now
from realtime.testing.sequencing import Looker


def test_a_row_is_seen_once_whatever_its_number(db):
    """A transaction that commits late has lower numbers than others that were seen before."""
    looker = Looker(lambda: None)
    looker.open()
    board = Board.objects.create(slug="quay", title="The quay")
    late = OutboxRow.objects.latest("id")
    number = late.pk
    OutboxRow.objects.filter(pk=number).delete()
    board.save()
    assert [row.source for row in looker.look()] == ["boards_board"]
    late.pk = number
    late.save(force_insert=True)

    assert [row.id for row in looker.look()] == [number]
    assert looker.look() == []


def test_what_was_there_before_is_not_delivered(db):
    Board.objects.create(slug="quay", title="The quay")
    looker = Looker(lambda: None)
    looker.open()

    assert looker.look() == []


def test_only_open_clients_are_notified(db):
    """Also several; a client that is no longer referenced is forgotten."""
    told: list[str] = []
    one, other = Looker(lambda: told.append("one")), Looker(lambda: told.append("other"))
    one.open()
    other.open()
    one.close()
    one.close()

    sequence_now()

    assert told == ["other"]
    other.close()
