"""Releases: a feed in a form that has not run before has its topics read again, once."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from realtime.boards.models import Entry
from realtime.feeds import registry
from realtime.models import FeedRelease, OutboxRow
from realtime.publishing import log as the_log
from realtime.publishing import releases


@pytest.fixture
def announced(log) -> None:
    """The releases of all feeds have been in use."""
    releases.announce()
    log.sequence()


def exchange(monkeypatch, fingerprint: str) -> None:
    """Make this process one of a release with another declaration of the feed of entries."""
    monkeypatch.setattr(registry["entries"], "fingerprint", fingerprint)


def test_the_first_release_of_all_resets_nothing(log):
    """The log of such a database has just begun, and every page gets a snapshot."""
    assert releases.announce() == []
    assert {release.feed for release in FeedRelease.objects.all()} == {feed.name for feed in registry}
    assert log.sequence() is None


def test_a_feed_of_another_form_is_reset_once(log, announced, monkeypatch):
    """However many processes of the release start."""
    exchange(monkeypatch, "another form")

    assert [releases.announce() for _ in range(3)] == [["entries"], [], []]
    assert log.sequenced() == {"entries": "reset"}
    assert log.sequenced() == {}


def test_two_releases_side_by_side_reset_each_other_once(log, announced, monkeypatch):
    """Whichever of their processes restart, in whatever order."""
    resets = []
    for form in ("new", "old", "new", "new", "old", "new"):
        exchange(monkeypatch, form)
        resets += releases.announce()
        releases.renew()

    assert resets == ["entries", "entries"]


def test_a_release_that_was_replaced_for_a_while_resets_its_feeds(log, announced, monkeypatch):
    """A deployment that is taken back: pages hold rows of the other release meanwhile."""
    exchange(monkeypatch, "old")
    releases.announce()
    FeedRelease.objects.update(last_used_at=Now() - timedelta(minutes=30))
    exchange(monkeypatch, "new")
    releases.announce()

    exchange(monkeypatch, "old")

    assert releases.announce() == ["entries"]
    assert releases.announce() == []


def use(feed: str, fingerprint: str) -> None:
    """Note that another release uses a form of a feed."""
    FeedRelease.objects.create(feed=feed, fingerprint=fingerprint)


@pytest.fixture
def another_split(announced) -> str:
    """Another release is in use, in which a change of an entry touches other topics."""
    fingerprint = "0123456789abcdef"
    use("entries", fingerprint)
    return fingerprint


def test_a_change_resets_the_feed_of_a_release_that_splits_it_otherwise(log, quay, another_split):
    """Its topics are not known here; hubs of this release ignore the entry, and their topic goes on without a gap."""
    topic = f"entries.{quay.pk}"
    before = the_log.newest([topic])[topic]

    quay.entries.create(label="new")
    batch = log.sequence()

    foreign = next(entry for entry in batch.entries if entry.topic == "entries")
    assert (foreign.kind, foreign.fingerprint) == ("reset", registry["entries"].fingerprint)
    assert next(entry for entry in batch.entries if entry.topic == topic).after == before
    assert the_log.newest([topic, "entries"]) == {topic: batch.end}
    assert set(the_log.tail(before).newest) == {topic}
    assert [entry.topic for entry in the_log.missed(topic, "entries", before).entries] == [topic]


def test_that_release_reads_its_topics(log, quay, another_split, monkeypatch):
    """The same entry, read by its processes."""
    before = log.state.next
    quay.entries.create(label="new")
    batch = log.sequence()

    exchange(monkeypatch, another_split)

    assert the_log.newest(["entries"]) == {"entries": batch.end}
    assert "entries" in the_log.tail(before).newest
    assert "reset" in {entry.kind for entry in the_log.missed("entries.99", "entries", before).entries}


def test_a_change_of_a_table_that_only_another_release_needs_resets_what_that_release_declares(
    log, quay, announced
):
    """A feed that is new in it, or one that depends on more tables."""
    use("news", "0123456789abcdef")
    OutboxRow.objects.create(source="news_item", image={"id": 1})

    assert log.sequenced() == {"news": "reset"}


@pytest.mark.parametrize("is_flood", [False, True])
def test_a_release_that_differs_in_other_respects_receives_the_topics(
    log, quay, announced, settings, is_flood
):
    """The entry of a topic has the fingerprint of this release: the other one reads that topic alone."""
    settings.REALTIME = {"MAX_BATCH_ROWS": 2 if is_flood else 100}
    use("entries", registry["entries"].fingerprint[:8] + "01234567")
    quay.entries.bulk_create(Entry(board=quay, label="many") for _ in range(5))

    assert set(log.sequenced()) == {f"entries.{quay.pk}"}


def test_a_flood_resets_the_feed_of_a_release_that_splits_it_otherwise(log, quay, another_split, settings):
    """As a few changes do."""
    settings.REALTIME = {"MAX_BATCH_ROWS": 2}
    quay.entries.bulk_create(Entry(board=quay, label="many") for _ in range(5))

    assert set(log.sequenced()) == {f"entries.{quay.pk}", "entries"}


def test_a_release_that_ran_some_time_ago_receives_nothing(log, quay, another_split):
    """A deployment does not take that long."""
    FeedRelease.objects.filter(fingerprint=another_split).update(
        last_used_at=Now() - releases.RECENT - timedelta(seconds=1)
    )
    quay.entries.create(label="new")

    assert set(log.sequenced()) == {f"entries.{quay.pk}"}


def test_a_release_after_a_long_stop_resets_nothing(log, announced):
    """No other one has run meanwhile."""
    FeedRelease.objects.update(last_used_at=Now() - timedelta(days=30))

    assert releases.announce() == []


def test_a_running_release_is_renewed(log, announced, monkeypatch):
    """Only the releases of this process; releases that were not used for months are forgotten at the next start."""
    exchange(monkeypatch, "new")
    releases.announce()
    FeedRelease.objects.update(last_used_at=Now() - timedelta(days=100))

    releases.renew()
    old = FeedRelease.objects.filter(last_used_at__lt=Now() - timedelta(days=1))

    assert [release.feed for release in old] == ["entries"]
    releases.announce()
    assert FeedRelease.objects.filter(feed="entries").count() == 1


def test_the_reset_of_a_feed_that_only_the_other_release_has_is_logged(log, quay):
    """Its processes read it from the same log."""
    OutboxRow.objects.create(source=releases.SOURCE, image={"feed": "a_new_feed"})

    assert log.sequenced() == {"a_new_feed": "reset"}


def test_a_release_survives_a_flood(log, quay, settings):
    """No other table has this information."""
    settings.REALTIME = {"MAX_BATCH_ROWS": 2}
    OutboxRow.objects.create(source=releases.SOURCE, image={"feed": "boards"})
    quay.entries.bulk_create(Entry(board=quay, label="many") for _ in range(5))

    assert log.sequenced() == {"boards": "reset", f"entries.{quay.pk}": "reset"}


@pytest.mark.parametrize(
    "image", [None, {}, {"feed": None}, {"feed": ""}, {"feed": "x" * 65}, {"feed": "\0"}]
)
def test_a_release_without_a_feed_is_skipped(log, quay, image, lines):
    """A log line has its id."""
    row = OutboxRow.objects.create(source=releases.SOURCE, image=image)
    new = quay.entries.create(label="new")

    assert log.sequenced() == {f"entries.{quay.pk}": [("upsert", str(new.pk))]}
    assert any(str(row.pk) in line for line in lines() if releases.SOURCE in line)


def test_a_feed_that_is_reset_for_all_releases_is_not_reset_for_the_others_again(log, quay, another_split):
    """One entry makes every process read its topics; an entry for the other releases alone would repeat it."""
    OutboxRow.objects.create(source="boards_entry", image=None)

    batch = log.sequence()

    assert [(entry.topic, entry.kind, entry.fingerprint) for entry in batch.entries] == [
        ("entries", "reset", "")
    ]
