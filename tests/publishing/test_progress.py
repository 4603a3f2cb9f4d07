"""Progress: the stored cursor of the outbox, which only its last reader may move."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from realtime.databases.outbox import OutboxCursor
from realtime.models import Sequencer
from realtime.publishing import progress


def test_before_the_log_has_begun_there_is_none(transactional_db):
    """A database without a log gets one from the first publisher."""
    Sequencer.objects.all().delete()

    assert progress.read() is None
    assert progress.read(lock=True) is None


@pytest.mark.parametrize("open", [(), (5, 7)], ids=["no open transaction", "open transactions"])
def test_a_new_life_counts_everything_up_to_its_cursor_as_sequenced(transactional_db, open):
    """The log holds what follows, so its edge is there."""
    cursor = OutboxCursor(10, open)

    progress.begin("e1", "an origin", cursor)

    assert progress.read() == progress.Progress("e1", "an origin", cursor, cursor.offset)


def test_the_cursor_is_moved_by_a_process_that_knows_it(transactional_db):
    """If two processes sequence the same changes, one finds the cursor moved."""
    progress.begin("e1", "", OutboxCursor(10, (5,)))
    seen = progress.read()
    until = OutboxCursor(12, (11,))

    assert progress.advance(seen, until)
    assert not progress.advance(seen, OutboxCursor(13))
    assert progress.read().cursor == until


@pytest.mark.parametrize("epoch, open", [("e2", (5,)), ("e1", ()), ("e1", (6,))])
def test_epoch_and_open_transactions_are_part_of_the_comparison(transactional_db, epoch, open):
    """The same number may stand for another snapshot."""
    progress.begin("e1", "", OutboxCursor(10, (5,)))
    other = progress.Progress(epoch, "", OutboxCursor(10, open), 0)

    assert not progress.advance(other, OutboxCursor(12))


@pytest.mark.parametrize("hours", [-5, 5], ids=["long ago", "before the clock was set back"])
def test_success_at_another_time_shows_nothing_about_now(transactional_db, hours):
    """While the clock is behind that moment, a publisher that ended would seem to have worked just now."""
    progress.begin("e1", "", OutboxCursor(10))
    Sequencer.objects.update(sequenced_at=Now() + timedelta(hours=hours))

    assert progress.seconds_since_success() == pytest.approx(5 * 3600, abs=600)


def test_a_pause_from_before_the_clock_was_set_back_is_over(transactional_db):
    """The migration may have been killed: no process would install triggers for that long."""
    progress.begin("e1", "", OutboxCursor(10))
    progress.pause_capture(timedelta(minutes=10))
    assert progress.is_capture_paused()

    Sequencer.objects.update(capture_paused_until=Now() + timedelta(days=1))

    assert not progress.is_capture_paused()


def test_the_edge_moves_alone_and_never_back(transactional_db):
    """Pruning does not sequence, and an edge of another epoch means nothing."""
    progress.begin("e1", "", OutboxCursor(10))

    assert progress.move_edge("e1", 12)
    assert not progress.move_edge("e1", 11)
    assert not progress.move_edge("another", 13)

    assert progress.read() == progress.Progress("e1", "", OutboxCursor(10), 12)
