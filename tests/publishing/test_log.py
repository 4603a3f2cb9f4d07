"""The log: what readers find in it, and what pruning leaves."""

import contextlib
import itertools
import sqlite3
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now

from realtime import notices
from realtime.access import revocation
from realtime.boards.models import Entry
from realtime.engine.position import Position
from realtime.models import LogEntry, OutboxRow, Sequencer
from realtime.publishing import log as the_log
from realtime.publishing import positions, progress


@pytest.fixture
def topic(quay) -> str:
    return f"entries.{quay.pk}"


def announced(moment: float, end: int = 2**62) -> list[str]:
    return [entry.payload for entry in the_log.announced_since(moment, end)]


@pytest.fixture
def no_retention(settings):
    """Every entry of the log is too old."""
    settings.REALTIME = {"LOG_RETENTION_SECONDS": -1}


# ---------------------------------------------------------------- announcements


def test_announcements_are_found_by_the_moment_since_when_they_are_needed(log, quay, topic):
    """Whenever the process and its database were started: their clocks are compared. Changes are none."""
    notices.broadcast("old")
    log.sequence()
    LogEntry.objects.update(created_at=Now() - timedelta(seconds=60))
    moment = time.monotonic()
    notices.broadcast("new")
    notices.broadcast("of a topic", topic)
    revocation.announce()
    quay.entries.create(label="a change")
    log.sequence()
    end = LogEntry.objects.latest("position").position

    assert announced(moment) == ["new", "of a topic", ""]
    assert announced(moment - 61) == ["old", "new", "of a topic", ""]
    assert announced(moment, end - 1) == []
    assert announced(moment + 3600) == []


def test_an_empty_log_has_no_announcements(log):
    """A process may look before anything was ever sequenced."""
    assert announced(0.0) == []


# ---------------------------------------------------------------- heads


@pytest.mark.parametrize("entry_of", ["topic", "feed"])
def test_a_topic_at_its_newest_entry_has_the_rows_of_now(log, quay, safe, topic, entry_of):
    """An earlier one has not; what other topics have does not matter."""
    if entry_of == "topic":
        quay.entries.create(label="new")
    else:
        OutboxRow.objects.create(source="boards_entry", image=None)
    log.sequence()
    newest = LogEntry.objects.latest("position").position
    safe.entries.create(label="in another topic")
    log.sequence()

    heads = the_log.heads([topic])

    assert heads.newest is not None
    assert heads.are_reached_by(topic, Position(heads.position.epoch, newest))
    assert not heads.are_reached_by(topic, Position(heads.position.epoch, newest - 1))
    assert not heads.are_reached_by(topic, Position("another", newest))


def test_what_is_not_sequenced_is_missing(log, quay, topic):
    """Only rows that were read there or later have it; of an earlier position everything is known."""
    before = the_log.heads([topic])
    quay.entries.create(label="new")

    now, then = the_log.heads([topic]), the_log.heads([topic], before.position)

    assert now.newest is None
    assert then.newest is not None
    assert not now.are_reached_by(topic, before.position)
    assert now.are_reached_by(topic, now.position)


# ---------------------------------------------------------------- tail


def test_the_tail_names_the_topics_that_changed_after_a_position(log, quay, safe, topic):
    """Each with its newest position; entries at the position itself are not included."""
    seen = log.state.next
    for label in ("a", "b"):
        quay.entries.create(label=label)
        log.sequence()

    tail = the_log.tail(seen)

    assert tail.newest == {topic: log.state.next}
    assert (tail.epoch, tail.end) == (log.state.epoch, log.state.next)
    assert the_log.tail(tail.end).newest == {}


@pytest.mark.parametrize("ahead", [0, 100])
def test_the_tail_has_the_end_of_the_log(log, quay, ahead):
    """And the database's position; also for a reader that is ahead of both, after a restored backup."""
    end = log.state.next

    tail = the_log.tail(end + ahead)

    assert (tail.end, tail.offset, tail.newest) == (end, end, {})


def test_the_tail_has_no_announcement_of_the_position_that_was_read(log, quay):
    """It was announced then."""
    notices.broadcast("old")
    read = log.sequence().end
    quay.entries.create(label="new")
    log.sequence()

    tail = the_log.tail(read)

    assert tail.end > read
    assert tail.announcements == []


def test_the_tail_has_announcements_separately(log, quay):
    """Oldest first; they are no changes of their topic."""
    end = log.state.next
    for text in ("one", "two"):
        notices.broadcast(text)
        log.sequence()

    tail = the_log.tail(end)

    assert [notice.payload for notice in tail.announcements] == ["one", "two"]
    assert tail.newest == {}
    assert tail.end == log.state.next


# ---------------------------------------------------------------- missed


def test_missed_entries_of_a_topic_are_in_order(log, quay, safe, topic):
    """Including those of its whole feed; without those of other topics, and without notices."""
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


def test_entries_at_a_topics_own_position_are_not_missed(log, quay, safe, topic):
    """Its rows have them, even if another topic of the feed is read from further back."""
    old, other = log.state.next, f"entries.{safe.pk}"
    OutboxRow.objects.create(source="boards_entry", image=None)
    log.sequence()
    at = LogEntry.objects.get(topic="entries", kind="reset").position

    missed = the_log.missed_of("entries", [(topic, at), (other, old)])

    assert missed[topic, at].entries == []
    assert [(entry.topic, entry.position) for entry in missed[other, old].entries] == [("entries", at)]


def test_after_pruning_the_log_is_whole_from_the_edge_on(log, quay, topic, no_retention):
    """From any earlier position, entries may be missing."""
    quay.entries.create(label="one")
    log.sequence()
    the_log.prune()
    edge = log.state.edge

    assert the_log.missed(topic, "entries", edge).is_whole
    assert not the_log.missed(topic, "entries", edge - 1).is_whole


def test_without_a_log_no_answer_is_whole(log, quay, topic):
    """As between a flush of the database and the next tick."""
    Sequencer.objects.all().delete()

    assert not the_log.missed(topic, "entries", 10**9).is_whole


# ---------------------------------------------------------------- prune


def test_young_entries_are_kept(log, quay, topic):
    """Within the retention no reader needs a snapshot."""
    before = log.entries(topic)

    the_log.prune()

    assert log.entries(topic) == before


def test_old_entries_are_deleted_and_the_edge_moves(log, quay, topic):
    """To the newest deleted entry; younger entries stay, and so does their chain."""
    LogEntry.objects.update(created_at="2026-01-01T00:00:00Z")
    old = LogEntry.objects.latest("position").position
    quay.entries.create(label="young")
    log.sequence()

    the_log.prune()

    assert log.state.edge == old
    assert [entry.after for entry in log.entries(topic)] == [old]
    assert the_log.missed(topic, "entries", old).is_whole


@pytest.mark.parametrize("kept", [1, 3, 5])
def test_the_log_keeps_a_limited_number_of_entries(log, quay, topic, settings, kept):
    """The newest ones, with all entries of a position; the edge is where they begin."""
    positions = []
    for number in range(5):
        quay.entries.create(label=str(number))
        positions.append(log.sequence().end)
    settings.REALTIME = {"LOG_MAX_ENTRIES": kept}

    the_log.prune()

    assert [entry.position for entry in log.entries(topic)] == positions[-kept:]
    assert the_log.missed(topic, "entries", log.state.edge).is_whole


def test_one_entry_more_than_the_limit_is_pruned(log, topic, settings):
    """And none as long as there are no more than that."""
    LogEntry.objects.all().delete()
    for number in range(4):
        append_entry(topic, position=log.state.edge + 1 + number)
    settings.REALTIME = {"LOG_MAX_ENTRIES": 4}
    the_log.prune()
    assert LogEntry.objects.count() == 4

    settings.REALTIME = {"LOG_MAX_ENTRIES": 3}
    the_log.prune()

    assert LogEntry.objects.count() == 3


def append_entry(topic: str, position: int) -> None:
    LogEntry.objects.create(
        position=position, topic=topic, kind="changes", after=0, begins=0, payload="[]", fingerprint=""
    )


@pytest.mark.parametrize("rows", [1, 2, 100])
def test_pruning_in_small_steps_deletes_everything(log, quay, topic, settings, monkeypatch, rows):
    """Whatever the size of a step, the log begins at the edge afterwards."""
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


def test_a_step_of_pruning_deletes_few_rows(log, quay, no_retention, monkeypatch):
    """Writers wait for one step at most; the edge is looked for only when nothing is left before it."""
    monkeypatch.setattr(the_log, "PRUNE_ROWS", 2)
    for number in range(5):
        quay.entries.create(label=str(number))
        log.sequence()
    looked: list[int] = []
    move_edge = the_log._move_edge

    def counted():
        looked.append(1)
        return move_edge()

    monkeypatch.setattr(the_log, "_move_edge", counted)
    sizes = [(OutboxRow.objects.count(), LogEntry.objects.count())]
    while the_log.prune_step():
        sizes.append((OutboxRow.objects.count(), LogEntry.objects.count()))

    assert all(
        before - 2 <= after <= before
        for earlier, later in itertools.pairwise(sizes)
        for before, after in zip(earlier, later, strict=True)
    )
    assert (OutboxRow.objects.count(), LogEntry.objects.count()) == (0, 0)
    assert len(looked) <= 3


def test_sequenced_outbox_rows_are_deleted(log, quay):
    """They are not needed any more."""
    quay.entries.create(label="new")
    log.sequence()

    assert the_log.prune() > 0
    assert not OutboxRow.objects.filter(id__lt=log.state.next).exists()


def test_unsequenced_rows_are_never_pruned(log, quay, topic, no_retention):
    """Whatever their age, they are sequenced by the next sequencer."""
    new = quay.entries.create(label="waits")

    the_log.prune()

    assert log.sequenced() == {topic: [("upsert", str(new.pk))]}


def test_after_pruning_the_next_entry_follows_the_edge(log, quay, topic, no_retention):
    """A topic without entries is known from the edge on."""
    the_log.prune()
    edge = log.state.edge
    Entry.objects.create(board=quay, label="new")
    log.sequence()

    assert [entry.after for entry in log.entries(topic)] == [edge]


def test_pruning_twice_moves_nothing_back(log, quay, no_retention):
    """The edge never decreases; an empty log leaves it unchanged."""
    the_log.prune()
    edge = log.state.edge

    assert the_log.prune() == 0
    assert log.state.edge == edge


def test_pruning_an_empty_database_does_nothing(log):
    """Without a log there is no edge to move."""
    Sequencer.objects.all().delete()

    assert the_log.prune() == 0


def test_a_clock_that_was_set_back_leaves_no_gap(log, quay, topic):
    """All entries up to the edge are deleted, whatever their time, so the log is whole from there on."""
    quay.entries.create(label="seems young")
    log.sequence()
    quay.entries.create(label="old")
    log.sequence()
    LogEntry.objects.update(created_at=Now())
    LogEntry.objects.filter(position=log.state.next).update(created_at="2026-01-01T00:00:00Z")

    the_log.prune()

    assert log.entries(topic) == []
    assert log.state.edge == log.state.next


# ---------------------------------------------------------------- while others write


def test_entries_added_while_the_tail_is_read_are_left_to_the_next_call(log, quay, safe, topic, monkeypatch):
    """The tail holds every entry up to its end, and none after it."""
    seen = log.state.next
    quay.entries.create(label="before")
    log.sequence()
    end = log.state.next
    probe = positions.probe

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


def test_pruning_while_a_reader_catches_up_hides_no_entry(log, quay, topic, monkeypatch):
    """Edge and entries are read in one snapshot, so an answer that claims to be whole is whole."""
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


def test_changes_wait_until_the_log_has_begun(log, quay):
    """After a crash has emptied the log, pages would otherwise be told that they are current."""
    Sequencer.objects.all().delete()
    OutboxRow.objects.all().delete()
    assert the_log.tail(0).waiting_seconds == 0.0

    OutboxRow.objects.create(source="boards_entry", image=None, written_at=time.time() - 60)

    assert 60 <= the_log.tail(0).waiting_seconds < 600
