"""The time of a reading: it is over between two rows, and nothing that catches faults of rows catches that."""

import pytest

from realtime.publishing.budget import Budget, OutOfTime


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
