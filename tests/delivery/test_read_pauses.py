"""Pauses: a topic that fails, or is read again and again, is read less often."""

import asyncio

import pytest

from realtime.delivery import freshness, read_pauses
from realtime.delivery.read_pauses import ReadPauses
from tests.conftest import until
from tests.delivery.conftest import Follower, has_row, reset


async def test_the_pauses_after_failures_grow_up_to_a_limit(monkeypatch):
    """The second attempt follows at once: the first failure may have been that of a connection."""
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: 100.0)
    pauses, seconds = ReadPauses(), []
    for _ in range(9):
        pauses.fail()
        seconds.append(pauses._attempt_at - 100.0)

    assert seconds == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0]
    assert not pauses.are_over
    pauses.succeed()
    assert pauses.are_over
    assert pauses.failures == 0
    monkeypatch.undo()


async def test_a_read_that_fails_changes_no_rest():
    """Its pause is that of a failure."""
    pauses = ReadPauses()

    with pytest.raises(ValueError, match="broken"), pauses.repeated_read():
        raise ValueError("broken")

    assert pauses.rest_seconds == 0


@pytest.mark.parametrize(("took", "rest"), [(0.0, 0.1), (0.3, 0.3), (60.0, 0.5)])
async def test_a_topic_rests_as_long_as_its_read_took_up_to_a_limit(monkeypatch, took, rest):
    """A topic whose reading is slow takes no more than half of a thread."""
    now = [100.0]
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now[0])
    pauses = ReadPauses()
    with pauses.repeated_read():
        pass
    assert pauses.rest_seconds == 0

    with pauses.repeated_read():
        now[0] += took

    assert pauses.rest_seconds == pytest.approx(rest)
    now[0] += rest
    assert pauses.rest_seconds == pytest.approx(0)
    monkeypatch.undo()


async def test_a_topic_that_is_read_again_and_again_rests_longer_each_time(
    slow, quay, topic, readings, monkeypatch
):
    """It stays in doubt meanwhile, and ends with what is in the database."""
    follower = await Follower(topic).follow(slow.hub)
    await slow.settle()
    monkeypatch.setattr(read_pauses, "SOON_SECONDS", 1000.0)
    shared = slow.hub._shared[topic]
    rests: list[float] = []

    for number in range(6):
        await slow.write(lambda number=number: (quay.entries.update(label=str(number)), reset()))
        await slow.settle()
        rests.append(shared._pauses._rests_until - shared.read_at)
        assert has_row(follower, str(number))()

    # At least, because a read that takes long is followed by a longer rest, up to the longest.
    longer = [read_pauses.REST_SECONDS * 2**number for number in range(1, 6)]
    assert all(
        rest >= min(least, read_pauses.MAX_REST_SECONDS)
        for rest, least in zip(rests[1:], longer, strict=True)
    )
    assert not shared.is_stale


async def test_a_topic_that_rests_is_not_vouched_for_and_applies_no_later_entry(
    slow, quay, topic, readings, monkeypatch
):
    """Missing changes come with the next read."""
    monkeypatch.setattr(freshness, "DOUBT_SECONDS", 0.0)
    follower = await Follower(topic).follow(slow.hub)
    await slow.settle()
    shared = slow.hub._shared[topic]
    shared._pauses._rests_until = asyncio.get_running_loop().time() + 1000
    readings.clear()

    await slow.write(lambda: (quay.entries.update(label="lacking"), reset()))
    slow.hub.look_soon()
    await until(lambda: shared._must_read and not shared.is_refreshing)
    await slow.send(await slow.write(quay.entries.create, label="later"))
    await until(lambda: not shared.topic.is_current)
    assert shared.is_stale
    assert readings == []
    assert not has_row(follower, "later")()

    shared._pauses._rests_until = shared._pauses._attempt_at = 0.0
    slow.hub.look_soon()
    await until(has_row(follower, "later"))
    assert await slow.is_current(follower)
    assert readings == [topic]
