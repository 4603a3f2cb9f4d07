"""Retention: a feed that keeps fewer entries than the log, or more, loses no reader."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db.models import F

from realtime.boards.models import Entry
from realtime.changes import Handler, handlers
from realtime.feeds import Feed, registry
from realtime.models import LogEntry
from realtime.publishing import capture, handler_cursors, log, progress
from realtime.publishing.handler_cursors import Cursor
from tests.contract.conftest import Follower


@pytest.fixture
def declare(database) -> Iterator[Callable[..., Feed]]:
    """A function that registers a feed of entries, in one topic for each board."""
    names: list[str] = []

    def register(name: str, **attributes: Any) -> Feed:
        declared = {"name": name, "topic_field": "board_id", "fields": ["label"], **attributes}
        feed = type("Probe", (Feed,), declared)(Entry)
        registry.add(feed)
        names.append(name)
        capture.install()
        database.sequence()
        return feed

    yield register
    for name in names:
        registry.remove(name)


def write(database, label: str, *keys: int) -> None:
    Entry.objects.filter(pk__in=keys).update(label=label)
    database.sequence()


def age(seconds: float) -> None:
    """Let time pass for all entries of the log."""
    from datetime import timedelta

    LogEntry.objects.update(created_at=F("created_at") - timedelta(seconds=seconds))


def kinds(feed: str) -> list[str]:
    found = LogEntry.objects.filter(topic__startswith=feed).order_by("position", "id")
    return [f"{entry.kind} {entry.topic}" for entry in found]


def test_old_entries_of_one_feed_are_pruned_and_its_readers_lose_nothing(database, declare):
    """Readers with an older position read the topic again; all others resume. Other feeds keep their entries."""
    declare("short", retention_seconds=60)
    declare("usual")
    old, usual = Follower("short.2"), Follower("usual.2")
    write(database, "first", 1, 2)
    write(database, "second", 1, 3)
    young = Follower("short.2")
    age(100)
    write(database, "third", 1)

    log.prune()

    assert kinds("short") == ["reset short", "changes short.2"]
    assert len(kinds("usual")) == 4
    for follower, reads in ((young, 1), (old, 2), (usual, 1)):
        follower.follow()
        follower.assert_equals_source()
        assert follower.reads == reads


def test_a_quiet_topic_of_a_pruned_feed_is_read_again_at_most(database, declare):
    """It is no longer known whether a topic has changed before the mark."""
    declare("short", retention_seconds=60)
    quiet = Follower("short.1")
    write(database, "of the other topic", 1)
    write(database, "again", 1)
    age(100)

    log.prune()
    quiet.follow()
    quiet.assert_equals_source()
    write(database, "of this one", 2)
    quiet.follow()

    quiet.assert_equals_source()


def test_a_feed_keeps_a_number_of_entries(database, declare):
    """However young they are."""
    declare("few", retention_entries=2)
    followers = []
    for number in range(6):
        followers.append(Follower("few.2"))
        write(database, f"{number}", 1)

    log.prune()
    log.prune()

    assert kinds("few") == ["reset few", "changes few.2", "changes few.2"]
    for follower in followers:
        follower.follow()
        follower.assert_equals_source()
    assert [follower.reads for follower in followers] == [2, 2, 2, 2, 1, 1]


def test_a_feed_may_keep_its_entries_for_longer_than_others(database, declare, settings):
    """The edge of the log follows the longest; the others' entries are pruned before it."""
    settings.REALTIME = {**settings.REALTIME, "LOG_RETENTION_SECONDS": 60}
    declare("long", retention_seconds=1000)
    declare("usual")
    follower = Follower("long.2")
    edge = progress.read().edge
    write(database, "first", 1)
    write(database, "second", 1)
    age(100)
    log.prune()

    assert progress.read().edge == edge
    assert kinds("long") == ["changes long.2"] * 2
    assert kinds("usual") == ["reset usual"]
    follower.follow()
    follower.assert_equals_source()
    assert follower.reads == 1
    age(1000)
    log.prune()
    assert kinds("long") == kinds("usual") == []
    assert progress.read().edge > edge


def test_many_entries_are_pruned_in_parts(database, declare, monkeypatch):
    """A reader that comes between two parts finds the mark."""
    monkeypatch.setattr("realtime.publishing.retention.PRUNE_ROWS", 2)
    declare("short", retention_seconds=60)
    follower = Follower("short.2")
    for number in range(7):
        write(database, f"{number}", 1)
    age(100)

    log.prune_step()
    assert "reset short" in kinds("short")
    follower.follow()
    follower.assert_equals_source()
    while log.prune_step():
        pass

    assert kinds("short") == ["reset short"]


def test_a_new_epoch_gets_no_mark_of_the_former_one(database, declare, monkeypatch):
    """Its positions would be those of another life of the log."""
    from realtime.publishing import positions, retention

    declare("short", retention_seconds=60)
    write(database, "first", 1)
    write(database, "second", 1)
    age(100)
    find = retention._last_to_prune

    def begins_meanwhile(*args: Any) -> Any:
        found = find(*args)
        LogEntry.objects.all().delete()
        return found

    monkeypatch.setattr(retention, "_last_to_prune", begins_meanwhile)
    retention.prune_feeds()

    assert not LogEntry.objects.exists()
    positions.begin_epoch()


def test_a_function_of_on_change_keeps_the_entries_that_it_has_not_handled(
    database, declare, settings, monkeypatch
):
    """Up to the same bound as those of the log."""
    feed = declare("short", retention_seconds=60)
    monkeypatch.setitem(handlers, "one", Handler("one", feed.name, lambda change: None, False, False))
    begun = progress.read()
    handler_cursors.begin("one", Cursor(begun.epoch, begun.cursor.offset))
    write(database, "first", 1)
    write(database, "second", 1)
    age(100)

    log.prune()
    assert kinds("short") == ["changes short.2"] * 2
    settings.REALTIME = {**settings.REALTIME, "HANDLER_RETENTION_SECONDS": 50}
    log.prune()
    assert kinds("short") == ["reset short"]
