"""The time of a reading: it is over between two rows, and nothing that catches faults of rows catches that."""

import pytest

from realtime.publishing import budget as budget_module
from realtime.publishing.budget import Budget, OutOfTime
from realtime.runtime import cpu_time


def test_rows_are_counted_until_the_time_is_over(monkeypatch):
    """The row for which no time is left is not rendered."""
    budget = Budget(1000)
    budget.spend_on_a_row()
    budget.spend_on_a_row()
    assert 0 < budget.left <= 1000

    monkeypatch.setattr(Budget, "left", 0.0)

    assert budget.is_used_up
    with pytest.raises(OutOfTime):
        budget.spend_on_a_row()
    assert budget.rows == 2


def test_the_end_of_the_time_is_no_fault_of_a_row():
    """Such faults are caught as Exceptions, and the row left out."""
    assert not issubclass(OutOfTime, Exception)


class Machine:
    """A clock, and the time for which the thread has waited for a core, both turned by the test."""

    def __init__(self, monkeypatch) -> None:
        self.now, self.waited, self.looks = 1000.0, 300.0, 0
        self.slowdown, self.trials = 1.0, 0
        monkeypatch.setattr("realtime.publishing.budget.time.monotonic", lambda: self.now)
        monkeypatch.setattr(cpu_time, "waited", self.look)
        monkeypatch.setattr(cpu_time, "slowdown", self.try_out)
        monkeypatch.setattr(budget_module, "_machine", budget_module._Machine())

    def look(self) -> float:
        self.looks += 1
        return self.waited

    def try_out(self) -> float:
        self.trials += 1
        return self.slowdown

    def work(self, seconds: float, *, waiting: float = 0.0) -> None:
        self.now += seconds + waiting
        self.waited += waiting


@pytest.fixture
def machine(monkeypatch) -> Machine:
    return Machine(monkeypatch)


def test_time_in_which_the_thread_waits_for_a_core_does_not_count(machine):
    """A busy machine ends no feed's time; it is over when the feed has had it."""
    budget = Budget(10, 40)

    machine.work(4, waiting=8)
    assert not budget.is_used_up
    assert budget.has_lasted
    assert budget.left == pytest.approx(6)
    machine.work(5.9, waiting=2)
    assert not budget.is_used_up
    machine.work(0.2)

    assert budget.is_used_up
    assert budget.left == pytest.approx(-0.1)


@pytest.mark.parametrize("longest, lasts", [(0.0, 10), (5.0, 10), (40.0, 40)])
def test_it_lasts_no_longer_than_it_may(machine, longest, lasts):
    """Others wait for it, however little of it the thread was given."""
    budget = Budget(10, longest)

    machine.work(0.0, waiting=lasts - 0.1)
    assert not budget.is_used_up
    machine.work(0.0, waiting=0.2)

    assert budget.is_used_up


def test_a_thread_that_sleeps_uses_its_time(machine):
    """As one that waits for a query does: those that wait do not ask why."""
    budget = Budget(10, 40)

    machine.work(10)

    assert budget.is_used_up


def test_the_system_is_asked_only_when_the_time_seems_over(machine):
    """It is asked before each row whether there is time left."""
    budget = Budget(10, 40)
    machine.looks = 0

    for _ in range(9):
        machine.work(1)
        budget.spend_on_a_row()

    assert machine.looks == 0


@pytest.mark.parametrize("slowdown, lasts", [(1.0, 10), (2.5, 25), (4.0, 40), (100.0, 40)])
def test_on_a_busy_machine_the_time_lasts_as_many_times_as_long(machine, slowdown, lasts):
    """Threads that wait for the interpreter wait for no core, and nothing counts that: a trial shows it."""
    machine.slowdown = slowdown
    budget = Budget(10, 40)

    machine.work(lasts - 0.1)
    assert not budget.is_used_up
    machine.work(0.2)

    assert budget.is_used_up


def test_a_time_that_is_over_stays_over(machine):
    """A query that was ended for it is not one that has failed otherwise."""
    budget = Budget(10, 40)
    machine.work(10.1)
    assert budget.is_used_up

    machine.slowdown = 4.0

    assert budget.is_used_up
    assert machine.trials == 1


def test_what_a_trial_has_shown_is_used_for_a_minute(machine):
    """A query that the database's server ends must have its longer time from the start."""
    machine.slowdown = 3.0
    first = Budget(10, 40)
    machine.work(10)
    assert first.left == pytest.approx(20)

    assert Budget(10, 40).left == pytest.approx(30)
    assert Budget(10).left == pytest.approx(10)
    machine.work(budget_module.REMEMBERED_SECONDS)
    assert Budget(10, 40).left == pytest.approx(10)
