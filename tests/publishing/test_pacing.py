"""Pacing: probes follow quickly where writes are likely, and rarely where they are not."""

import pytest

from realtime.databases.outbox import Probe
from realtime.publishing.pacing import Deference, Pace, pause, pause_when_watched


@pytest.mark.parametrize(
    "since_sequenced, pause_seconds",
    [(0, 0.05), (0.04, 0.05), (0.05, 0.0125), (0.9, 0.0125), (1, 0.05), (1000, 0.05)],
)
def test_probes_follow_quickly_after_a_batch(since_sequenced, pause_seconds):
    """The first pause after a batch is a whole tick, so that other writes can join the next batch."""
    assert pause(0.05, since_sequenced) == pause_seconds


@pytest.mark.parametrize(
    "since_written, since_sequenced, pause_seconds",
    [
        (1000, 1000, 0.2),
        (0.0001, 1000, 0.002),
        (0.002, 1000, 0.002),
        (0.03, 1000, 0.03),
        (0.05, 1000, 0.2),
        (1000, 0.01, 0.05),
        (0.01, 0.01, 0.01),
        (1000, 1, 0.05),
        (1000, 1.1, 0.2),
    ],
)
def test_a_noticed_write_is_probed_for_until_its_commit_is_found(
    since_written, since_sequenced, pause_seconds
):
    """The commit may take a while; without a noticed write the probes are few."""
    assert pause_when_watched(0.05, since_written, since_sequenced) == pause_seconds


@pytest.mark.parametrize("gap, is_busy", [(0.05, True), (0.09, True), (0.11, False), (10, False)])
def test_only_batches_in_a_row_delay_the_next_probe(gap, is_busy):
    """After a single batch a noticed write is probed for at once."""
    pace = Pace()
    pace.note_batch(100, tick_seconds=0.05)

    pace.note_batch(100 + gap, tick_seconds=0.05)

    assert pace.is_busy == is_busy
    assert pace.note_write(100 + gap, tick_seconds=0.05) == pytest.approx(0.05 if is_busy else 0.002)


@pytest.mark.parametrize("is_watched, pause_seconds", [(True, 0.2), (False, 0.05)])
def test_an_idle_publisher_probes_less_often_where_writes_are_noticed(is_watched, pause_seconds):
    """The file watch makes most probes unnecessary."""
    assert Pace().pause(100, 0.05, is_watched=is_watched) == pause_seconds


def test_a_batch_answers_the_noticed_write():
    """After it, the next pause is that of a quiet file."""
    pace = Pace()
    pace.note_write(100, tick_seconds=0.05)

    pace.note_batch(100.01, tick_seconds=0.05)

    assert pace.pause(100.02, 0.05, is_watched=True) == 0.05


def seen(sequenced: int, *, is_waiting: bool = True, epoch: str = "a") -> Probe:
    return Probe(offset=100, epoch=epoch, sequenced=sequenced, log_end=sequenced, is_waiting=is_waiting)


def test_what_waits_is_left_to_a_leader_that_makes_progress():
    deference = Deference()

    rests = [deference.rest(seen(sequenced=at), now=at, tick_seconds=0.05) for at in range(5)]

    assert rests == [pytest.approx(0.2)] * 5


def test_what_waits_for_long_is_not_left_to_the_leader():
    deference = Deference()

    rests = [deference.rest(seen(7), now, tick_seconds=0.05) for now in (1.0, 1.15, 1.21)]

    assert rests == [pytest.approx(0.2), pytest.approx(0.05), 0]


@pytest.mark.parametrize("between", [seen(7, is_waiting=False), seen(7, epoch="b")])
def test_the_time_counts_from_when_these_rows_began_to_wait(between):
    deference = Deference()
    deference.rest(seen(7), 1.0, tick_seconds=0.05)
    deference.rest(between, 1.1, tick_seconds=0.05)

    assert deference.rest(seen(7), 2.0, tick_seconds=0.05) == pytest.approx(0.2)


def test_nothing_is_left_where_nothing_waits():
    assert Deference().rest(seen(7, is_waiting=False), 1.0, tick_seconds=0.05) == 0
