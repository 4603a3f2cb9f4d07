"""Topic limits: a client that asks for ever new topics takes neither memory without bound nor the room of others."""

from collections.abc import Mapping

import pytest

from realtime.access.limits import TooMuch
from realtime.delivery.topic_limits import TopicLimits

ADDRESS = "192.0.2.1"


@pytest.fixture(autouse=True)
def small(settings):
    settings.REALTIME = {**settings.REALTIME, "MAX_TOPICS": 5, "MAX_TOPICS_PER_ADDRESS": 3}


@pytest.fixture
def limits() -> TopicLimits:
    return TopicLimits()


def visit(limits: TopicLimits, topics: Mapping[str, str | None], *, stay: bool = False) -> None:
    """Follow each topic from its address, and leave it again unless the visitor stays."""
    for topic, address in topics.items():
        limits.begin(topic, address)
        if not stay:
            limits.end(topic, address, is_last=True)


def test_the_topic_that_was_left_first_makes_room(limits):
    """It is the one that is least likely to be requested again."""
    visit(limits, dict.fromkeys("abcde"))

    assert limits.make_room(4, None) == []
    assert limits.make_room(5, None) == ["a"]
    assert limits.make_room(5, None) == ["b"]


def test_a_followed_topic_makes_no_room(limits):
    visit(limits, dict.fromkeys("abcde"), stay=True)

    with pytest.raises(TooMuch, match="no more than 5 topics of this server"):
        limits.make_room(5, "192.0.2.9")


def test_a_topic_that_is_followed_again_is_not_dropped(limits):
    visit(limits, dict.fromkeys("abcde"))

    limits.begin("a", None)

    assert limits.make_room(5, None) == ["b"]


def test_an_address_has_room_for_its_own_topics_only(limits):
    """Topics that others have left stay in memory, however many topics one address visits."""
    visit(limits, {"theirs": "198.51.100.1"})
    visit(limits, dict.fromkeys("abc", ADDRESS))

    assert limits.make_room(4, ADDRESS) == ["a"]
    assert limits.make_room(4, "203.0.113.1") == []


def test_an_address_that_follows_as_many_topics_as_it_may_is_refused_a_further_one(limits):
    """However many of its connections follow each; and another address is not refused."""
    visit(limits, dict.fromkeys("abc", ADDRESS), stay=True)
    visit(limits, dict.fromkeys("abc", ADDRESS), stay=True)

    with pytest.raises(TooMuch, match="no more than 3 topics of one address") as raised:
        limits.make_room(3, ADDRESS)
    assert raised.value.code == 4529
    assert limits.make_room(3, "198.51.100.1") == []

    limits.end("a", ADDRESS, is_last=False)
    with pytest.raises(TooMuch):
        limits.make_room(3, ADDRESS)
    limits.end("a", ADDRESS, is_last=False)
    assert limits.make_room(3, ADDRESS) == []


def test_an_unknown_address_has_no_limit_of_its_own(limits):
    """Behind a Unix socket all clients have none."""
    visit(limits, dict.fromkeys("abcd"), stay=True)

    assert limits.make_room(4, None) == []


def test_nothing_is_remembered_of_addresses_without_topics(limits):
    """Otherwise a client with many addresses would fill the memory."""
    visit(limits, {f"{number}": f"192.0.2.{number}" for number in range(100)})

    for number in range(100):
        limits.drop(f"{number}")

    assert not any([limits._followed, limits._idle, limits._idle_of])
