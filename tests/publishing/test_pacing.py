"""Pacing: probes follow quickly where writes are likely, and rarely where they are not."""

import pytest

from realtime.databases.outbox import Probe
from realtime.publishing.pacing import Deference, Pace, pause, pause_when_watched


@pytest.mark.parametrize(
    "since_sequenced, pause_seconds",
    [(0, 0.0125), (0.05, 0.0125), (0.9, 0.0125), (1, 0.05), (1000, 0.05)],
)
def test_probes_follow_quickly_after_a_batch(since_sequenced, pause_seconds):
    """For a second."""
    assert pause(0.05, since_sequenced) == pause_seconds


@pytest.mark.parametrize(
    "since_written, since_sequenced, pause_seconds",
    [
        (1000, 1000, 0.2),
        (0.0001, 1000, 0.0005),
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


def delays(*, writes: int, gap: float, tick_seconds: float = 0.05) -> list[float]:
    """Return how much later each of some writes at equal distances is probed for, if its commit is found at once."""
    pace, found, last = Pace(tick_seconds), [], 0.0
    for number in range(writes):
        now = 100 + number * gap
        if now < last:  # it is sequenced together with the one before
            continue
        found.append(pace.note_write(now))
        last = now + found[-1]
        pace.note_batch(last)
    return found


def test_writes_are_probed_for_at_once_while_they_are_few():
    """At most one a tick on average; a few may follow each other quickly."""
    assert delays(writes=200, gap=0.051) == [0] * 200
    assert delays(writes=4, gap=0.001) == [0] * 4


def test_in_a_row_of_writes_those_of_a_tick_are_sequenced_together():
    """Of two seconds with two hundred writes each."""
    found = delays(writes=400, gap=0.005)

    assert len(found) == pytest.approx(40 + 4, abs=1)
    assert found[:4] == [0] * 4
    assert all(0.04 < delay <= 0.05 for delay in found[6:])


def test_no_write_is_probed_for_later_than_a_tick_after_a_batch():
    """Not even after many batches in a row, such as of writes by this process, which do not wait."""
    pace = Pace(tick_seconds=0.05)
    for number in range(100):
        pace.note_batch(100 + number / 1000)

    assert pace.note_write(100.109) == pytest.approx(0.04)
    assert pace.note_write(100.2) == 0


def test_without_a_watch_the_rest_of_a_tick_is_waited_for_in_a_row_of_batches():
    """So that other writes can join the next batch."""
    pace = Pace(tick_seconds=0.05)
    pace.note_batch(100)
    assert pace.pause(100, is_watched=False) == 0.0125

    for _ in range(4):
        pace.note_batch(100.01)

    assert pace.pause(100.02, is_watched=False) == pytest.approx(0.04)
    assert pace.pause(100.07, is_watched=False) == 0.0125


@pytest.mark.parametrize("is_watched, pause_seconds", [(True, 0.2), (False, 0.05)])
def test_an_idle_publisher_probes_less_often_where_writes_are_noticed(is_watched, pause_seconds):
    """The file watch makes most probes unnecessary."""
    assert Pace(0.05).pause(100, is_watched=is_watched) == pause_seconds


def test_a_batch_answers_the_noticed_write():
    """After it, the next pause is that of a quiet file."""
    pace = Pace(tick_seconds=0.05)
    pace.note_write(100)

    pace.note_batch(100.01)

    assert pace.pause(100.02, is_watched=True) == 0.05


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
