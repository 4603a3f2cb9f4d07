"""Slow feeds: how long they are not read, and when they are tried, decided by a clock that the test turns."""

import pytest
from django.db import OperationalError

from realtime.boards.models import Board
from realtime.feeds import Feed
from realtime.publishing.slow_feeds import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Images, SlowFeeds


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


IMAGES: Images = {"boards_board": [{"id": 1}]}


def test_a_slow_feed_is_tried_after_a_pause_with_rows_that_change_then(slow_feeds, feed, clock):
    """Not before; meanwhile, and until the trial has ended, it counts as slow. Other feeds are never affected."""
    other = type("OtherFeed", (Feed,), {"name": "slow"})(Board)

    slow_feeds.note(feed, 0.25, "a query")

    assert feed in slow_feeds
    assert other not in slow_feeds
    clock.now += FIRST_PAUSE_SECONDS - 0.1
    slow_feeds.keep(feed, {})
    assert slow_feeds.take_to_try() == []
    clock.now += 0.2
    slow_feeds.keep(feed, IMAGES)
    assert slow_feeds.take_to_try() == [(feed, IMAGES)]
    assert feed in slow_feeds


def test_a_feed_is_tried_once_at_a_time(slow_feeds, feed, clock):
    """However long its trial waits for a thread."""
    slow_feeds.note(feed, 0.25, "a query")
    clock.now += FIRST_PAUSE_SECONDS
    slow_feeds.keep(feed, IMAGES)
    slow_feeds.take_to_try()

    clock.now += 3600
    slow_feeds.keep(feed, IMAGES)

    assert slow_feeds.take_to_try() == []


def test_the_pause_doubles_up_to_a_limit(slow_feeds, feed, clock):
    """A feed that stays slow is tried more and more rarely."""
    pauses = []
    slow_feeds.note(feed, 0.25, "a query")
    for _ in range(8):
        start = clock.now
        while not slow_feeds.take_to_try():
            clock.now += 1
            slow_feeds.keep(feed, IMAGES)
        pauses.append(clock.now - start)
        with slow_feeds.trial(feed):
            slow_feeds.note(feed, 0.25, "a query")

    assert pauses[:4] == [FIRST_PAUSE_SECONDS * factor for factor in (1, 2, 4, 8)]
    assert pauses[-2:] == [LONGEST_PAUSE_SECONDS] * 2


def test_a_feed_that_is_quick_again_is_forgotten(slow_feeds, feed, clock, lines):
    """Its next pause is a short one."""
    for _ in range(5):
        slow_feeds.note(feed, 0.25, "a query")
    assert slow_feeds.names() == ["slow"]
    clock.now += LONGEST_PAUSE_SECONDS
    slow_feeds.keep(feed, IMAGES)
    slow_feeds.take_to_try()

    with slow_feeds.trial(feed):
        pass
    forgotten = slow_feeds.names()
    slow_feeds.note(feed, 0.25, "a query")
    clock.now += FIRST_PAUSE_SECONDS
    slow_feeds.keep(feed, IMAGES)

    assert forgotten == []
    assert slow_feeds.take_to_try() == [(feed, IMAGES)]
    assert len([line for line in lines() if "is quick again" in line]) == 1


def test_a_trial_that_shows_nothing_is_repeated_after_the_same_pause(slow_feeds, feed, clock):
    """The database may have been away."""
    slow_feeds.note(feed, 0.25, "a query")
    clock.now += FIRST_PAUSE_SECONDS
    slow_feeds.keep(feed, IMAGES)
    slow_feeds.take_to_try()

    with pytest.raises(OperationalError), slow_feeds.trial(feed):
        raise OperationalError

    assert feed in slow_feeds
    slow_feeds.keep(feed, IMAGES)
    assert slow_feeds.take_to_try() == []
    clock.now += FIRST_PAUSE_SECONDS
    slow_feeds.keep(feed, IMAGES)
    assert slow_feeds.take_to_try() == [(feed, IMAGES)]
