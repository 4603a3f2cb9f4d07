"""Slow feeds: how long they are not read, and when they are tried, decided by a clock that the test turns."""

import pytest

from realtime.boards.models import Board
from realtime.feeds import Feed
from realtime.publishing.slow_feeds import (
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    TRIED_ROWS,
    Images,
    SlowFeeds,
)


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


def note(slow_feeds: SlowFeeds, feed: Feed, images: Images = IMAGES) -> None:
    slow_feeds.note(feed, 0.25, "a query", images)


def test_a_slow_feed_is_tried_after_a_pause(slow_feeds, feed, clock):
    """Until the trial has ended it counts as slow. Other feeds are never affected."""
    other = type("OtherFeed", (Feed,), {"name": "slow"})(Board)

    note(slow_feeds, feed)

    assert feed in slow_feeds
    assert other not in slow_feeds
    clock.now += FIRST_PAUSE_SECONDS - 0.1
    assert slow_feeds.take_to_try() == []
    clock.now += 0.2
    assert slow_feeds.take_to_try() == [(feed, IMAGES)]
    assert feed in slow_feeds


def test_a_feed_is_tried_with_the_newest_rows(slow_feeds, feed, clock):
    """Those for which it was slow may have ceased to exist. They are kept in memory, so they are few."""

    def rows(number: int, start: int) -> list[dict[str, int]]:
        return [{"id": start + each} for each in range(number)]

    note(slow_feeds, feed, {"boards_board": rows(3000, 0), "boards_entry": rows(1, 7)})
    slow_feeds.keep(feed, {"boards_board": rows(10, 5000), "boards_status": rows(2, 1)})
    clock.now += FIRST_PAUSE_SECONDS

    ((_, images),) = slow_feeds.take_to_try()

    assert images == {
        "boards_board": rows(10, 5000) + rows(TRIED_ROWS - 10, 0),
        "boards_entry": rows(1, 7),
        "boards_status": rows(2, 1),
    }


def test_a_feed_is_tried_once_at_a_time(slow_feeds, feed, clock):
    """However long its trial waits for a thread."""
    note(slow_feeds, feed)
    clock.now += FIRST_PAUSE_SECONDS
    slow_feeds.take_to_try()

    clock.now += 3600

    assert slow_feeds.take_to_try() == []


def test_the_pause_doubles_up_to_a_limit(slow_feeds, feed, clock):
    """A feed that stays slow is tried more and more rarely."""
    pauses = []
    note(slow_feeds, feed)
    for _ in range(8):
        start = clock.now
        while not slow_feeds.take_to_try():
            clock.now += 1
        pauses.append(clock.now - start)
        note(slow_feeds, feed)
        slow_feeds.end_trial(feed, is_quick=False)

    assert pauses[:4] == [FIRST_PAUSE_SECONDS * factor for factor in (1, 2, 4, 8)]
    assert pauses[-2:] == [LONGEST_PAUSE_SECONDS] * 2


@pytest.mark.parametrize("quick_for, factor", [(0.9, 2), (1.1, 1)], ids=["slow again soon", "quick for long"])
def test_a_feed_is_forgotten_when_it_was_quick_for_as_long_as_its_pause(
    slow_feeds, feed, clock, lines, quick_for, factor
):
    """One that is slow for some rows alone, which its trial does not read, delays others more and more rarely."""
    note(slow_feeds, feed)
    clock.now += FIRST_PAUSE_SECONDS
    slow_feeds.take_to_try()

    slow_feeds.end_trial(feed, is_quick=True)
    slow_feeds.keep(feed, IMAGES)  # of a round that began before

    assert feed not in slow_feeds
    assert slow_feeds.take_to_try() == []
    clock.now += quick_for * FIRST_PAUSE_SECONDS
    note(slow_feeds, feed)
    assert feed in slow_feeds
    clock.now += factor * FIRST_PAUSE_SECONDS - 1
    assert slow_feeds.take_to_try() == []
    clock.now += 1
    assert slow_feeds.take_to_try() == [(feed, IMAGES)]
    assert len([line for line in lines() if "is quick again" in line]) == 1


def test_a_trial_that_shows_nothing_is_repeated_after_the_same_pause(slow_feeds, feed, clock):
    """The database may have been away."""
    note(slow_feeds, feed)
    clock.now += FIRST_PAUSE_SECONDS
    slow_feeds.take_to_try()

    slow_feeds.end_trial(feed, is_quick=False)

    assert feed in slow_feeds
    assert slow_feeds.take_to_try() == []
    clock.now += FIRST_PAUSE_SECONDS
    assert slow_feeds.take_to_try() == [(feed, IMAGES)]
