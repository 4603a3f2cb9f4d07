"""The token bucket: a burst after a pause, and a rate in the long run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.engine.bucket import Bucket, burst_of


def test_a_full_bucket_gives_its_burst_and_then_its_rate():
    """A pause fills it again, up to its burst."""
    bucket = Bucket(rate=2, burst=5)

    assert [bucket.take(1, 0) for _ in range(6)] == [True] * 5 + [False]
    assert [bucket.take(1, 1) for _ in range(3)] == [True, True, False]
    assert [bucket.take(1, 1000) for _ in range(6)] == [True] * 5 + [False]


def test_an_amount_over_the_level_is_refused_as_a_whole():
    """A smaller amount is still available afterwards."""
    bucket = Bucket(rate=1, burst=5)

    assert not bucket.take(6, 0)
    assert bucket.take(5, 0)


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), max_size=30))
def test_at_most_burst_plus_rate_is_taken(asked):
    """Over any time, for any sequence of amounts."""
    bucket, now, taken = Bucket(rate=3, burst=7), 0.0, 0.0

    for pause, amount in asked:
        now += pause
        taken += amount if bucket.take(amount, now) else 0

    assert taken <= 7 + 3 * now + 1e-6


def test_what_is_spent_afterwards_is_paid_by_waiting():
    """A debt delays what comes next, by no more than a burst takes to be granted."""
    bucket = Bucket(rate=2, burst=5)

    bucket.spend(6, 0)
    assert bucket.seconds_until(0, 0) == 0.5
    assert bucket.seconds_until(1, 0) == 1
    assert not bucket.take(1, 0.9)
    assert bucket.take(1, 1)

    bucket.spend(1000, 1)
    assert bucket.seconds_until(0, 1) == 2.5
    assert bucket.seconds_until(0, 1000) == 0


@pytest.mark.parametrize("rate, burst", [(10, 20), (0.5, 1), (0.49, 1), (1e-9, 1), (0, 0)])
def test_a_low_rate_allows_one_unit_after_a_pause_and_no_rate_none(rate, burst):
    """A bucket that holds less than a unit would never give one."""
    assert burst_of(rate, seconds=2) == burst
