"""Slow feeds: how long they are not asked, decided by a clock that the test turns."""

import pytest

from realtime.boards.models import Board
from realtime.feeds import Feed
from realtime.publishing.slow_feeds import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, SlowFeeds


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def slow_feeds(clock) -> SlowFeeds:
    return SlowFeeds(clock)


@pytest.fixture
def feed() -> Feed:
    return type("SlowFeed", (Feed,), {"name": "slow"})(Board)


def test_a_slow_feed_is_asked_again_after_a_pause(slow_feeds, feed, clock):
    """Not before; other feeds are asked as ever."""
    other = type("OtherFeed", (Feed,), {"name": "slow"})(Board)

    slow_feeds.note(feed, 0.25, "a query")

    assert feed in slow_feeds
    assert other not in slow_feeds
    clock.now += FIRST_PAUSE_SECONDS - 0.1
    assert feed in slow_feeds
    clock.now += 0.2
    assert feed not in slow_feeds


def test_the_pause_doubles_up_to_a_limit(slow_feeds, feed, clock):
    """A feed that stays slow delays the others more and more rarely."""
    pauses = []
    for _ in range(8):
        slow_feeds.note(feed, 0.25, "a query")
        start = clock.now
        while feed in slow_feeds:
            clock.now += 1
        pauses.append(clock.now - start)

    assert pauses[:4] == [FIRST_PAUSE_SECONDS * factor for factor in (1, 2, 4, 8)]
    assert pauses[-2:] == [LONGEST_PAUSE_SECONDS] * 2


def test_a_feed_that_is_quick_again_is_forgotten(slow_feeds, feed, clock, lines):
    """Its next pause is a short one."""
    for _ in range(5):
        slow_feeds.note(feed, 0.25, "a query")
    assert slow_feeds.names() == ["slow"]

    slow_feeds.note_quick(feed)
    slow_feeds.note_quick(feed)
    forgotten = slow_feeds.names()
    slow_feeds.note(feed, 0.25, "a query")
    clock.now += FIRST_PAUSE_SECONDS + 1

    assert forgotten == []
    assert feed not in slow_feeds
    assert len([line for line in lines() if "is quick again" in line]) == 1
