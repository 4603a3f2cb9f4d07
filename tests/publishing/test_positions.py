"""Positions: rows and the offset they are as of come from one look at the database."""

import contextlib
import sqlite3

import pytest
from django.db import connection, transaction

from realtime.boards.models import Board, Entry
from realtime.databases.registry import database
from realtime.engine.errors import UnknownTopic
from realtime.feeds import registry
from realtime.models import LogEntry, OutboxRow, Sequencer
from realtime.publishing import positions
from realtime.publishing.positions import position_now, probe, read_snapshot, read_topic


@pytest.fixture
def other_program(log):
    """A plain connection, as another program has one."""
    path = connection.settings_dict["NAME"]
    with contextlib.closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as plain:
        yield plain


def test_every_noted_change_moves_the_position(log, quay):
    """By one for each image; what is not live does not move it."""
    before = position_now()

    quay.entries.create(label="new")
    log.state.save()

    assert position_now().offset == before.offset + 1
    assert position_now().epoch == before.epoch == log.state.epoch


def test_a_snapshot_does_not_see_what_is_written_during_it(log, quay, other_program):
    """Neither its rows nor its position."""
    with read_snapshot() as moment:
        other_program.execute("UPDATE boards_entry SET label = 'later'")
        labels = {entry.label for entry in quay.entries.all()}
        inside = position_now()

    assert "later" not in labels
    assert inside == moment.position
    assert position_now().offset == moment.position.offset + 2
    assert {entry.label for entry in quay.entries.all()} == {"later"}


def test_a_snapshot_waits_for_no_writer(log, quay, other_program):
    """A transaction under way elsewhere is neither seen nor waited for."""
    other_program.execute("BEGIN IMMEDIATE")
    other_program.execute("DELETE FROM boards_entry")

    reading = read_topic(f"entries.{quay.pk}")

    assert len(reading.rows) == 2
    other_program.execute("ROLLBACK")


def test_a_snapshot_ends_with_its_block(log, quay):
    """Also when that fails: the connection is as it was."""
    with pytest.raises(ZeroDivisionError), read_snapshot():
        raise ZeroDivisionError

    assert not connection.connection.in_transaction
    assert connection.get_autocommit()


def test_inside_a_transaction_its_own_view_is_read(log, quay):
    """A page that is rendered in the transaction that changed it shows the change, and is as of it."""
    before = position_now()

    with transaction.atomic():
        quay.entries.create(label="mine")
        reading = read_topic(f"entries.{quay.pk}")

    assert len(reading.rows) == 3
    assert reading.position.offset == before.offset + 1


def test_a_topic_is_read_in_its_order(log, quay):
    """As the feed orders it, with the filter's rows alone."""
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
    """What is not exactly that name is no topic: else two groups would carry it."""
    with pytest.raises(UnknownTopic):
        read_topic(topic)


@pytest.mark.parametrize("key", [0, -1, 2**63 - 1, -(2**63)])
def test_a_key_that_no_row_can_have_is_an_empty_topic(log, key):
    """Not an error of the database."""
    assert read_topic(f"entries.{key}").rows == []


# ---------------------------------------------------------------- since when


def test_a_reading_says_since_when_the_topic_is_what_it_is(log, quay, safe):
    """Changes elsewhere do not count; so a page rendered before them goes on without a snapshot."""
    last = log.entries(f"entries.{quay.pk}")[-1].position
    Board.objects.filter(pk=safe.pk).update(title="elsewhere")
    log.sequence()

    reading = read_topic(f"entries.{quay.pk}")

    assert reading.unchanged_since == last < reading.position.offset


def test_what_is_not_sequenced_yet_counts_as_a_change(log, quay):
    """The log does not yet tell which topics it touches."""
    quay.entries.create(label="new")

    reading = read_topic(f"entries.{quay.pk}")

    assert reading.unchanged_since == reading.position.offset


def test_a_reset_of_the_feed_counts_as_a_change(log, quay):
    """It stands for each topic."""
    OutboxRow.objects.create(source="boards_entry", image=None)
    log.sequence()

    assert read_topic(f"entries.{quay.pk}").unchanged_since == log.entries("entries")[-1].position


def test_nothing_is_known_from_before_the_edge(log, quay):
    """Where the log was pruned, a topic may have changed."""
    Board.objects.filter(pk=quay.pk).update(title="moves the position")
    log.sequence()
    edge = log.state.next
    LogEntry.objects.all().delete()
    Sequencer.objects.update(edge=edge)

    assert read_topic(f"entries.{quay.pk}").unchanged_since == edge


# ---------------------------------------------------------------- the log's life


def test_an_epoch_lives_as_long_as_the_machine_is_up(log):
    """A restarted process goes on in the same one."""
    assert positions.ensure_epoch() == log.state.epoch


def test_another_boot_is_another_epoch(log, quay):
    """After a power failure the last commits may be gone, and their positions come again."""
    before = log.state.epoch
    Sequencer.objects.update(origin="another boot")

    epoch = positions.ensure_epoch()

    assert epoch != before
    assert log.state.epoch == epoch
    assert log.state.origin == database().origin()
    assert not LogEntry.objects.exists()


def test_a_new_epoch_begins_at_now(log, quay):
    """What was noted before is not sequenced into it: rows are read anew."""
    quay.entries.create(label="before")

    positions.begin_epoch()

    assert log.state.next == log.state.edge == position_now().offset
    assert log.sequence() is None


def test_the_probe_of_an_empty_database(log):
    """No epoch, nothing sequenced, no entries; never an error."""
    Sequencer.objects.all().delete()
    LogEntry.objects.all().delete()

    seen = probe()

    assert (seen.epoch, seen.sequenced, seen.log_end) == ("", 0, 0)
    assert seen.offset >= 1


def test_the_probe_is_one_statement(log, quay, django_assert_num_queries, monkeypatch):
    """It is asked at every tick, on the driver's connection: none of Django's."""
    with django_assert_num_queries(0):
        seen = probe()

    entry = LogEntry.objects.latest("position")
    assert (seen.epoch, seen.sequenced, seen.log_end) == (log.state.epoch, log.state.next, entry.position)


def test_reading_a_topic_costs_a_fixed_number_of_queries(log, quay, django_assert_max_num_queries):
    """Whatever the number of its rows."""
    Entry.objects.bulk_create(Entry(board=quay, label=str(number)) for number in range(50))
    log.sequence()
    registry.find(f"entries.{quay.pk}")

    with django_assert_max_num_queries(6):
        assert len(read_topic(f"entries.{quay.pk}").rows) == 52
