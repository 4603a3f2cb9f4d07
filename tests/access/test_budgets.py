"""Budgets: each owner has its own, waits after it has used too much, and is forgotten eventually."""

from realtime.access import budgets
from realtime.access.budgets import Budgets, Overdrawn
from realtime.engine.codes import Code


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_each_owner_has_a_budget_of_its_own():
    """One that is overdrawn is overdrawn for its owner alone, for a while."""
    clock = Clock()
    processing = Budgets(0.5, 3, clock)

    processing.spend("10.0.0.1", 4)

    assert processing.seconds_until("10.0.0.1", 0) == 2
    assert processing.seconds_until("10.0.0.2", 3) == 0
    clock.now = 2.0
    assert processing.seconds_until("10.0.0.1", 0) == 0
    assert processing.seconds_until("10.0.0.1", 1) == 2


def test_an_unknown_owner_has_no_limit():
    """A server behind a Unix socket does not know its clients' addresses."""
    processing = Budgets(1, 1, Clock())

    processing.spend(None, 1000)

    assert processing.seconds_until(None, 1) == 0


def test_the_least_recently_seen_are_forgotten(monkeypatch):
    """The memory is bounded; an owner that spends again and again stays."""
    monkeypatch.setattr(budgets, "MAX_REMEMBERED", 10)
    processing = Budgets(1, 1, Clock())

    for number in range(100):
        processing.spend("busy", 1)
        processing.spend(f"10.0.0.{number}", 1)

    assert len(processing._buckets) == 10
    assert processing.seconds_until("busy", 0) > 0
    assert processing.seconds_until("10.0.0.0", 0) == 0


def test_the_error_says_what_to_do_and_when():
    """The code makes clients reconnect later."""
    assert Overdrawn(2.1).code == Code.TOO_MUCH
    assert str(Overdrawn(2.1)).endswith("send less, and try again in 3 s")
