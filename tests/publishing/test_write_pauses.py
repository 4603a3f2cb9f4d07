"""Write pauses: functions that are busy leave other programs time to write."""

import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from realtime.databases.registry import database
from realtime.publishing.write_pauses import BUSY_SECONDS, PAUSE_SECONDS, WritePauses


class Clock:
    """A clock that stands still between the calls of a test, and notes each pause with the time of its beginning."""

    def __init__(self) -> None:
        self.now = 100.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(self.now)
        self.now += seconds


@pytest.fixture(autouse=True)
def on_sqlite(transactional_db) -> None:
    """The database that has one writer."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def write(clock) -> Callable[..., None]:
    """A function that writes for some seconds, after some seconds without."""
    pauses = WritePauses(clock, clock.sleep)

    def write(seconds: float, after: float = 0.0) -> None:
        clock.now += after
        with pauses.writing():
            clock.now += seconds

    return write


@pytest.mark.parametrize("seconds", [0.001, 0.02, 0.3, 3.0])
def test_a_busy_function_pauses_again_and_again(clock, write, seconds):
    """However long its calls take: the time without a pause is bounded by theirs."""
    while len(clock.pauses) < 5:
        write(seconds)

    begun = [100.0, *(pause + PAUSE_SECONDS for pause in clock.pauses)]
    for since, until in zip(begun, clock.pauses, strict=False):
        assert until - since == pytest.approx(max(BUSY_SECONDS, seconds), abs=seconds)


def test_short_times_without_a_write_are_no_pause(clock, write):
    """A program that waits may look just before one and just after it."""
    for _ in range(int(2 * BUSY_SECONDS / 0.1)):
        write(0.05, after=0.05)

    assert len(clock.pauses) == 1


def test_single_changes_are_followed_by_no_pause(clock, write):
    """Other programs have had time to write before each."""
    for _ in range(50):
        write(0.5, after=PAUSE_SECONDS + 0.01)

    assert clock.pauses == []


def test_a_function_that_fails_pauses_too(clock):
    """It has written, although that was rolled back."""
    pauses = WritePauses(clock, clock.sleep)

    with suppress(ValueError), pauses.writing():
        clock.now += 2 * BUSY_SECONDS
        raise ValueError

    assert len(clock.pauses) == 1


def test_where_writers_do_not_wait_for_each_other_nothing_pauses(clock, write, monkeypatch):
    """As on PostgreSQL."""
    monkeypatch.setattr(type(database()), "HAS_ONE_WRITER", False)

    for _ in range(10):
        write(2 * BUSY_SECONDS)

    assert clock.pauses == []


def test_no_other_function_writes_in_a_pause(clock):
    """The pauses are those of the process: three busy functions would otherwise fill those of each other."""
    writing: list[int] = []
    in_pauses: list[list[int]] = []

    def sleep(seconds: float) -> None:
        others.wait(0.01)  # nothing sets it: time in which another function would begin
        in_pauses.append(list(writing))
        clock.now += seconds

    others = threading.Event()
    pauses = WritePauses(clock, sleep)

    def work(number: int) -> None:
        for _ in range(10):
            with pauses.writing():
                writing.append(number)
                clock.now += 2 * BUSY_SECONDS
                writing.remove(number)

    threads = [threading.Thread(target=work, args=[number]) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert in_pauses == [[]] * 30
