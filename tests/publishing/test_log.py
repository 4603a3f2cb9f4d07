"""The log: what readers find there, and what pruning leaves."""

import contextlib
import sqlite3

import pytest
from django.db import connection
from django.db.models.functions import Now

from realtime import notices
from realtime.boards.models import Entry
from realtime.models import LogEntry, OutboxRow, Sequencer
from realtime.publishing import log as the_log
from realtime.publishing import progress


@pytest.fixture
def topic(quay) -> str:
    return f"entries.{quay.pk}"


@pytest.fixture
def no_retention(settings):
    """Whatever is in the log is too old."""
    settings.REALTIME = {"LOG_RETENTION_SECONDS": -1}


# ---------------------------------------------------------------- tail


def test_the_tail_names_what_changed_beyond_a_position(log, quay, safe, topic):
    """Each topic with its newest position; what is at the position itself was seen."""
    seen = log.state.next
    for label in ("a", "b"):
        quay.entries.create(label=label)
        log.sequence()

    tail = the_log.tail(seen)

    assert tail.newest == {topic: log.state.next}
    assert (tail.epoch, tail.end) == (log.state.epoch, log.state.next)
    assert the_log.tail(tail.end).newest == {}


@pytest.mark.parametrize("ahead", [0, 100])
def test_the_tail_says_where_the_log_ends(log, quay, ahead):
    """And where the database stands: also to a reader who is ahead of both, after a restored backup."""
    end = log.state.next

    tail = the_log.tail(end + ahead)

    assert (tail.end, tail.offset, tail.newest) == (end, end, {})


def test_the_tail_brings_announcements_apart(log, quay):
    """Oldest first; they are no change of their topic."""
    end = log.state.next
    for text in ("one", "two"):
        notices.broadcast(text)
        log.sequence()

    tail = the_log.tail(end)

    assert [notice.payload for notice in tail.announcements] == ["one", "two"]
    assert tail.newest == {}
    assert tail.end == log.state.next


# ---------------------------------------------------------------- missed


def test_what_a_topic_missed_is_its_entries_in_order(log, quay, safe, topic):
    """Those of its whole feed among them, those of others and notices not."""
    seen = log.state.next
    quay.entries.create(label="one")
    log.sequence()
    safe.entries.create(label="elsewhere")
    notices.broadcast("words", topic)
    log.sequence()
    OutboxRow.objects.create(source="boards_entry", image=None)
    log.sequence()

    missed = the_log.missed(topic, "entries", seen)

    assert [(entry.topic, entry.kind) for entry in missed.entries] == [
        (topic, "changes"),
        ("entries", "reset"),
    ]
    assert missed.is_whole


def test_what_was_pruned_is_not_whole(log, quay, topic, no_retention):
    """From the edge on it is; from anywhere before, something may be missing."""
    quay.entries.create(label="one")
    log.sequence()
    the_log.prune()
    edge = log.state.edge

    assert the_log.missed(topic, "entries", edge).is_whole
    assert not the_log.missed(topic, "entries", edge - 1).is_whole


def test_without_a_log_nothing_is_whole(log, quay, topic):
    """Between a flush and the next tick."""
    Sequencer.objects.all().delete()

    assert not the_log.missed(topic, "entries", 10**9).is_whole


# ---------------------------------------------------------------- prune


def test_what_is_young_is_kept(log, quay, topic):
    """Within the retention nobody needs a snapshot."""
    before = log.entries(topic)

    the_log.prune()

    assert log.entries(topic) == before


def test_what_is_old_goes_and_the_edge_says_so(log, quay, topic):
    """Up to the newest of the old; what is younger stays, and its chain with it."""
    LogEntry.objects.update(created_at="2026-01-01T00:00:00Z")
    old = LogEntry.objects.latest("position").position
    quay.entries.create(label="young")
    log.sequence()

    the_log.prune()

    assert log.state.edge == old
    assert [entry.after for entry in log.entries(topic)] == [old]
    assert the_log.missed(topic, "entries", old).is_whole


@pytest.mark.parametrize("kept", [1, 3, 5])
def test_the_log_keeps_no_more_entries_than_it_may(log, quay, topic, settings, kept):
    """The newest ones, whole positions each; the edge is where they begin."""
    positions = []
    for number in range(5):
        quay.entries.create(label=str(number))
        positions.append(log.sequence().end)
    settings.REALTIME = {"LOG_MAX_ENTRIES": kept}

    the_log.prune()

    assert [entry.position for entry in log.entries(topic)] == positions[-kept:]
    assert the_log.missed(topic, "entries", log.state.edge).is_whole


@pytest.mark.parametrize("rows", [1, 2, 100])
def test_pruning_goes_in_steps_that_leave_nothing_behind(log, quay, topic, settings, monkeypatch, rows):
    """However small a step is, at its end the log begins where the edge says."""
    monkeypatch.setattr(the_log, "PRUNE_ROWS", rows)
    for number in range(5):
        quay.entries.create(label=str(number))
        end = log.sequence().end
    settings.REALTIME = {"LOG_RETENTION_SECONDS": -1.0}

    the_log.prune()

    assert not OutboxRow.objects.exists()
    assert not LogEntry.objects.exists()
    assert log.state.edge == end
    assert the_log.missed(topic, "entries", end).is_whole


def test_sequenced_outbox_rows_go(log, quay):
    """Nobody needs them any more."""
    quay.entries.create(label="new")
    log.sequence()

    assert the_log.prune() > 0
    assert not OutboxRow.objects.filter(id__lt=log.state.next).exists()


def test_what_is_not_sequenced_is_never_pruned(log, quay, topic, no_retention):
    """However old: it is told once a sequencer comes."""
    new = quay.entries.create(label="waits")

    the_log.prune()

    assert log.take() == {topic: [("upsert", str(new.pk))]}


def test_after_pruning_the_next_entry_follows_the_edge(log, quay, topic, no_retention):
    """A topic without entries left is known from the edge on."""
    the_log.prune()
    edge = log.state.edge
    Entry.objects.create(board=quay, label="new")
    log.sequence()

    assert [entry.after for entry in log.entries(topic)] == [edge]


def test_pruning_twice_moves_nothing_back(log, quay, no_retention):
    """The edge never goes down; an empty log leaves it where it is."""
    the_log.prune()
    edge = log.state.edge

    assert the_log.prune() == 0
    assert log.state.edge == edge


def test_pruning_an_empty_database_does_nothing(log):
    """No log, no edge."""
    Sequencer.objects.all().delete()

    assert the_log.prune() == 0


def test_a_clock_that_was_put_back_leaves_no_hole(log, quay, topic):
    """Entries below the edge go, also those that claim to be young: the log is whole from there on."""
    quay.entries.create(label="claims to be young")
    log.sequence()
    quay.entries.create(label="old")
    log.sequence()
    LogEntry.objects.update(created_at=Now())
    LogEntry.objects.filter(position=log.state.next).update(created_at="2026-01-01T00:00:00Z")

    the_log.prune()

    assert log.entries(topic) == []
    assert log.state.edge == log.state.next


# ---------------------------------------------------------------- while others write


def test_what_comes_while_the_tail_is_read_is_for_the_next_look(log, quay, safe, topic, monkeypatch):
    """Its end is as far as was looked: nothing beyond it is half told, nothing up to it left out."""
    seen = log.state.next
    quay.entries.create(label="before")
    log.sequence()
    end = log.state.next
    probe = the_log.probe

    def probe_and_write():
        found = probe()
        safe.entries.create(label="during it")
        log.sequence()
        return found

    with monkeypatch.context() as busy:
        busy.setattr(the_log, "probe", probe_and_write)
        tail = the_log.tail(seen)

    assert (tail.end, tail.newest) == (end, {topic: end})
    assert the_log.tail(tail.end).newest == {f"entries.{safe.pk}": log.state.next}


def test_pruning_while_a_reader_catches_up_hides_nothing_from_it(log, quay, topic, monkeypatch):
    """Edge and entries are of one snapshot: what is called whole is whole."""
    seen = log.state.next
    quay.entries.create(label="new")
    log.sequence()
    read = progress.read
    path = connection.settings_dict["NAME"]

    def read_and_prune():
        found = read()
        with contextlib.closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as plain:
            plain.execute("UPDATE realtime_sequencer SET edge = next")
            plain.execute("DELETE FROM realtime_logentry")
        return found

    monkeypatch.setattr(progress, "read", read_and_prune)

    missed = the_log.missed(topic, "entries", seen)

    assert not missed.is_whole or [entry.topic for entry in missed.entries] == [topic]
