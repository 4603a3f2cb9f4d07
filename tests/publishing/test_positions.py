"""Positions: rows and their position are read in one snapshot of the database."""

import contextlib
import sqlite3

import pytest
from django.db import connection, transaction

from realtime.boards.models import Board, Entry
from realtime.databases.registry import database
from realtime.engine.errors import UnknownTopic
from realtime.engine.position import Position
from realtime.feeds import registry
from realtime.models import LogEntry, OutboxRow, Sequencer
from realtime.publishing import positions
from realtime.publishing.budget import Budget, OutOfTime
from realtime.publishing.positions import probe, read_snapshot, read_topic
from tests.support.positions import position_now


@pytest.fixture
def other_program(log):
    """A plain connection, as another program opens it."""
    path = connection.settings_dict["NAME"]
    with contextlib.closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as plain:
        yield plain


def test_every_noted_change_moves_the_position(log, quay):
    """By one for each image; changes of tables that are not live do not move it."""
    before = position_now()

    quay.entries.create(label="new")
    log.state.save()

    assert position_now().offset == before.offset + 1
    assert position_now().epoch == before.epoch == log.state.epoch


def test_a_snapshot_does_not_see_later_writes(log, quay, other_program):
    """Neither its rows nor its position."""
    with read_snapshot() as moment:
        other_program.execute("UPDATE boards_entry SET label = 'later'")
        labels = {entry.label for entry in quay.entries.all()}
        inside = position_now()

    assert "later" not in labels
    assert inside == moment.position
    assert position_now().offset == moment.position.offset + 2
    assert {entry.label for entry in quay.entries.all()} == {"later"}


def test_a_snapshot_does_not_wait_for_writers(log, quay, other_program):
    """An open transaction of another connection is neither seen nor waited for."""
    other_program.execute("BEGIN IMMEDIATE")
    other_program.execute("DELETE FROM boards_entry")

    reading = read_topic(f"entries.{quay.pk}")

    assert len(reading.rows) == 2
    other_program.execute("ROLLBACK")


def test_a_snapshot_ends_with_its_block(log, quay):
    """Also if the block raises: the connection is as before."""
    with pytest.raises(ZeroDivisionError), read_snapshot():
        raise ZeroDivisionError

    assert not connection.connection.in_transaction
    assert connection.get_autocommit()


def test_inside_a_transaction_that_transactions_view_is_read(log, quay):
    """A page rendered in the transaction that changed a row shows the change, at the position after it."""
    before = position_now()

    with transaction.atomic():
        quay.entries.create(label="mine")
        reading = read_topic(f"entries.{quay.pk}")

    assert len(reading.rows) == 3
    assert reading.position.offset == before.offset + 1


def test_a_topic_is_read_in_its_order(log, quay):
    """The feed's ordering, and only rows that pass the filter."""
    last = quay.entries.create(label="last", position=9)
    first = quay.entries.create(label="first", position=-5)
    quay.entries.create(label="hidden", is_visible=False)

    keys = [row.key for row in read_topic(f"entries.{quay.pk}").rows]

    assert (keys[0], keys[-1], len(keys)) == (str(first.pk), str(last.pk), 4)
    orders = [row.order for row in read_topic(f"entries.{quay.pk}").rows]
    assert orders == sorted(orders)


@pytest.mark.parametrize(
    "topic",
    ["", ".", "nothing", "entries", "entries.", "entries.x", "entries.07", "entries.\u0667", "entries.7.7", "boards.1",
     "entries. 7", "entries.7\n", "entries.1e1", "Entries.7", "entries." + "7" * 300, "entries.None",
     "entries.9223372036854775808"],
)  # fmt: skip
def test_a_topic_has_one_name(log, topic):
    """Any other spelling is no topic: otherwise two groups would carry the same rows."""
    with pytest.raises(UnknownTopic):
        read_topic(topic)


@pytest.mark.parametrize("key", [0, -1, 2**63 - 1, -(2**63)])
def test_a_topic_whose_key_no_row_has_is_empty(log, key):
    """Also for the largest and smallest keys: no database error."""
    assert read_topic(f"entries.{key}").rows == []


# ---------------------------------------------------------------- since when


def test_a_reading_names_the_offset_since_which_the_topic_is_unchanged(log, quay, safe):
    """Changes of other topics do not count, so a page rendered before them needs no snapshot."""
    last = log.entries(f"entries.{quay.pk}")[-1].position
    Board.objects.filter(pk=safe.pk).update(title="elsewhere")
    log.sequence()

    reading = read_topic(f"entries.{quay.pk}")

    assert reading.unchanged_since == last < reading.position.offset


def test_an_unsequenced_change_counts_as_a_change_of_the_topic(log, quay):
    """The log does not show yet which topics it touches."""
    quay.entries.create(label="new")

    reading = read_topic(f"entries.{quay.pk}")

    assert reading.unchanged_since == reading.position.offset


def test_a_reset_of_the_feed_counts_as_a_change(log, quay):
    """It concerns each of its topics."""
    OutboxRow.objects.create(source="boards_entry", image=None)
    log.sequence()

    assert read_topic(f"entries.{quay.pk}").unchanged_since == log.entries("entries")[-1].position


def test_a_topic_may_have_changed_before_the_edge(log, quay):
    """The log was pruned there."""
    Board.objects.filter(pk=quay.pk).update(title="moves the position")
    log.sequence()
    edge = log.state.next
    LogEntry.objects.all().delete()
    Sequencer.objects.update(edge=edge)

    assert read_topic(f"entries.{quay.pk}").unchanged_since == edge


def test_a_reading_counts_the_rows_that_it_lacks(log, quay, monkeypatch):
    """Another format might have them, so it is of no use there."""
    bad, feed = quay.entries.first(), registry["entries"]
    values = feed.serialize
    monkeypatch.setattr(feed, "serialize", lambda entry: values(entry) if entry.pk != bad.pk else 1 / 0)

    reading = read_topic(f"entries.{quay.pk}")

    assert reading.left_out == 1
    assert str(bad.pk) not in [row.key for row in reading.rows]
    assert (reading.is_usable_in(None), reading.is_usable_in("rows")) == (True, False)


def test_a_reading_over_its_time_says_what_to_change(log, quay, monkeypatch):
    """The feed, or the limit."""

    def spend(budget: Budget) -> None:
        raise OutOfTime

    monkeypatch.setattr(Budget, "spend_on_a_row", spend)

    with pytest.raises(
        TimeoutError, match=r"took more than 3 s: 0 rows were rendered; .*, or raise READ_SECONDS$"
    ):
        read_topic(f"entries.{quay.pk}", seconds=3)


# ---------------------------------------------------------------- the log's life


def test_an_epoch_lasts_until_the_machine_restarts(log, monkeypatch):
    """A restarted process continues in the same one, and locks nothing to find that out."""
    monkeypatch.setattr(positions, "begin_epoch", None)

    assert positions.ensure_epoch() == log.state.epoch


def test_another_boot_begins_another_epoch(log, quay):
    """After a power failure the last commits may be lost, and their positions are used again."""
    before = log.state.epoch
    Sequencer.objects.update(origin="another boot")

    epoch = positions.ensure_epoch()

    assert epoch != before
    assert log.state.epoch == epoch
    assert log.state.origin == database().origin()
    assert not LogEntry.objects.exists()


def test_a_new_epoch_begins_at_now(log, quay):
    """Older outbox rows are not sequenced into it: topics are read again."""
    quay.entries.create(label="before")

    positions.begin_epoch()

    assert log.state.next == log.state.edge == position_now().offset
    assert log.sequence() is None


def test_an_empty_database_can_be_probed(log):
    """No epoch, nothing sequenced, no entries, and no error."""
    Sequencer.objects.all().delete()
    LogEntry.objects.all().delete()

    seen = probe()

    assert (seen.epoch, seen.sequenced, seen.log_end) == ("", 0, 0)
    assert seen.offset >= 1


def test_the_probe_is_one_statement(log, quay, django_assert_num_queries, monkeypatch):
    """It runs at every tick, on the driver's connection, whose statements Django does not count."""
    with django_assert_num_queries(0):
        seen = probe()

    entry = LogEntry.objects.latest("position")
    assert (seen.epoch, seen.sequenced, seen.log_end) == (log.state.epoch, log.state.next, entry.position)


def test_reading_a_topic_costs_a_fixed_number_of_queries(log, quay, django_assert_max_num_queries):
    """Independent of the number of its rows."""
    Entry.objects.bulk_create(Entry(board=quay, label=str(number)) for number in range(50))
    log.sequence()
    registry.find(f"entries.{quay.pk}")

    with django_assert_max_num_queries(6):
        assert len(read_topic(f"entries.{quay.pk}").rows) == 52


@pytest.mark.parametrize(
    ("read_in", "left_out", "format", "is_usable"),
    [
        ("rows", 0, "rows", True), ("rows", 1, "rows", True), ("rows", 0, "html", False), ("rows", 0, None, False),
        (None, 0, "rows", True), (None, 1, "rows", False), (None, 1, None, True),
    ],
)  # fmt: skip
def test_a_reading_is_used_in_a_format_in_which_it_would_have_had_the_same_rows(
    read_in, left_out, format, is_usable
):
    """A row that fails in one format is missing from a reading in all formats, and not from one in the other."""
    reading = positions.Reading(Position("e", 1), [], 1, 1, read_in, left_out)

    assert reading.is_usable_in(format) is is_usable
