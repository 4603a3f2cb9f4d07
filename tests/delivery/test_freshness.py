"""Freshness: a topic that is known to lack a change is not vouched for, and its subscribers are notified."""

import asyncio

import pytest

from realtime.delivery import freshness
from realtime.delivery.freshness import Freshness
from realtime.engine.encodings import Encodings
from realtime.engine.messages import Heartbeat
from realtime.engine.topic import Topic
from realtime.models import OutboxRow
from tests.conftest import until
from tests.delivery.conftest import Follower, last_heartbeat


class Told:
    """The freshness of a topic, and how often its subscribers were notified."""

    def __init__(self) -> None:
        self.times = 0
        self.topic = Topic("entries.1", encodings=Encodings())
        self.freshness = Freshness(self.topic, self._notify)

    def _notify(self) -> None:
        self.times += 1


@pytest.fixture
async def told() -> Told:
    return Told()


async def test_a_topic_that_is_behind_for_a_moment_stays_vouched_for(told):
    """Its subscribers are not notified, and the time that it is behind counts from the first change."""
    told.freshness.fall_behind()
    await asyncio.sleep(0)
    first = told.freshness.behind_seconds
    told.freshness.fall_behind()

    assert 0 < first <= told.freshness.behind_seconds
    told.freshness.become_current()
    assert told.freshness.behind_seconds == 0
    assert told.topic.is_current
    assert told.times == 0


async def test_a_topic_that_is_behind_for_long_is_not_vouched_for_until_it_is_current(told, monkeypatch):
    monkeypatch.setattr(freshness, "DOUBT_SECONDS", 0.0)
    told.freshness.fall_behind()
    await until(lambda: not told.topic.is_current)
    assert told.times == 1

    told.freshness.become_current()

    assert told.topic.is_current
    assert told.times == 2


async def test_a_topic_whose_tables_are_not_captured_is_not_vouched_for_although_it_is_current(told):
    """Only the triggers, once they are back, make it so."""
    for _ in range(2):
        told.freshness.set_captured(False)
    told.freshness.become_current()
    assert not told.topic.is_current
    assert told.freshness.behind_seconds > 0

    told.freshness.set_captured(True)

    assert told.topic.is_current
    assert told.times == 2


async def test_a_topic_that_is_known_to_lack_something_is_not_vouched_for(
    quick, quay, topic, monkeypatch, paused_read
):
    """Although it can be read; also when more is missing after each read, as of a slow feed with many changes."""
    monkeypatch.setattr(freshness, "DOUBT_SECONDS", 0.0)
    paused_read.go_on.set()
    follower = await Follower(topic).follow(quick.hub)
    shared = quick.hub._shared[topic]
    await until(lambda: last_heartbeat(follower).positions.keys() == {topic})
    paused_read.go_on.clear()

    await quick.write(OutboxRow.objects.create, source="boards_entry", image=None)
    await until(lambda: isinstance(follower.received[-1], Heartbeat) and not follower.received[-1].positions)
    assert shared.topic.is_readable
    assert quick.hub.behind_seconds_of(topic) > 0

    await quick.write(OutboxRow.objects.create, source="boards_entry", image=None)
    await until(lambda: shared.is_stale)
    paused_read.go_on.set()
    await until(lambda: not shared.is_stale and not shared.is_refreshing)
    assert last_heartbeat(follower).positions.keys() == {topic}
    assert quick.hub.behind_seconds_of(topic) == 0
