"""Broadcasts within a process: to whom they are delivered; tests/transports/test_broadcasts.py has the whole path."""

import pytest

from realtime.access.visitors import ANONYMOUS
from realtime.delivery import broadcasts
from realtime.delivery.broadcasts import may_be_given, permit
from realtime.engine.errors import UnknownTopic
from realtime.engine.messages import Broadcast
from tests.conftest import until
from tests.delivery.conftest import Follower


async def test_many_subscribers_are_served_in_steps(sociable, slow, quay, topic, monkeypatch):
    """Each once; the sender, and those that have left, not at all."""
    monkeypatch.setattr(broadcasts, "FAN_OUT_AT_ONCE", 3)
    followers = [await Follower(topic).follow(slow.hub) for _ in range(10)]
    sender, left, *others = followers
    slow.hub.unsubscribe(topic, left)
    left.session.unsubscribe(topic)

    slow.hub.broadcasts.send(Broadcast(topic, "typing"), sender)
    await until(lambda: all(is_told(follower) for follower in others))
    await until(lambda: not slow.hub.broadcasts._tasks)

    assert [len(told(follower)) for follower in followers] == [0, 0, *[1] * 8]


def told(follower: Follower) -> list[Broadcast]:
    return [message for message in follower.received if isinstance(message, Broadcast)]


def is_told(follower: Follower) -> bool:
    return bool(told(follower))


async def test_a_topic_that_is_not_held_has_no_receivers(sociable, slow, quay, topic):
    """It was dropped meanwhile."""
    slow.hub.broadcasts.send(Broadcast("boards", "typing"), await Follower(topic).follow(slow.hub))

    assert not slow.hub.broadcasts._tasks


def test_a_feed_without_the_method_is_not_asked(log, quay, topic, sociable, monkeypatch):
    """No query is made for what no user may do."""
    allowed = may_be_given(topic)
    monkeypatch.delattr(sociable, "can_broadcast")

    assert (allowed, may_be_given(topic)) == (True, False)
    with pytest.raises(UnknownTopic):
        may_be_given("unknown")


@pytest.mark.parametrize("answer", [True, False])
def test_the_permission_is_the_feeds(log, quay, topic, sociable, monkeypatch, answer):
    """An anonymous user has no key, and no name."""
    monkeypatch.setattr(sociable, "can_broadcast", lambda self, user, key: answer and key == quay.pk)

    assert permit(ANONYMOUS, topic) == (answer, None, "")
