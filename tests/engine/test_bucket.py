"""The token bucket: so much at once after a rest, so much per second in the long run."""

from hypothesis import given
from hypothesis import strategies as st

from realtime.engine.bucket import Bucket


def test_a_full_bucket_gives_its_burst_and_then_its_rate():
    """A rest fills it again, to its burst and no further."""
    bucket = Bucket(rate=2, burst=5)

    assert [bucket.take(1, 0) for _ in range(6)] == [True] * 5 + [False]
    assert [bucket.take(1, 1) for _ in range(3)] == [True, True, False]
    assert [bucket.take(1, 1000) for _ in range(6)] == [True] * 5 + [False]


def test_what_is_not_there_is_not_taken_in_part():
    """Who asks for too much may still have less."""
    bucket = Bucket(rate=1, burst=5)

    assert not bucket.take(6, 0)
    assert bucket.take(5, 0)


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), max_size=30))
def test_never_more_than_burst_and_rate_together(asked):
    """Over any time, however it is asked for."""
    bucket, now, taken = Bucket(rate=3, burst=7), 0.0, 0.0

    for pause, amount in asked:
        now += pause
        taken += amount if bucket.take(amount, now) else 0

    assert taken <= 7 + 3 * now + 1e-6
