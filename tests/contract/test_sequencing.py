"""Commit order, open transactions, several sequencers: nothing is lost, delayed or repeated."""

import contextlib
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections, transaction

from realtime.boards.models import Board, Entry
from realtime.databases import transactions
from realtime.databases.base import Database
from realtime.databases.registry import database as engine_database
from realtime.feeds import registry
from realtime.models import LogEntry, OutboxRow, Sequencer
from realtime.publishing import log, positions
from realtime.publishing.sequencer import sequence
from tests.contract.conftest import Follower, contents
from tests.support.positions import position_now

STATEMENTS = {"sqlite": 13, "postgresql": 22}
"""How many statements a change may take at most, from the probe that finds it to the commit of its entry."""
UPDATE = "UPDATE boards_entry SET label = '{}' WHERE id = {}"


def labels(entries: list[LogEntry]) -> list[str]:
    return [part.split('"')[0] for entry in entries for part in entry.payload.split('"label":"')[1:]]


@pytest.fixture
def writer(on_postgresql):
    with contextlib.closing(on_postgresql.connect()) as connection:
        yield connection


@pytest.fixture
def other(on_postgresql):
    with contextlib.closing(on_postgresql.connect()) as connection:
        yield connection


@pytest.mark.parametrize(
    ("before", "after"),
    [([], []), (["SAVEPOINT one"], ["RELEASE one"]), (["SAVEPOINT one"], [])],
    ids=["plain", "savepoint", "open savepoint"],
)
def test_a_late_commit_is_neither_lost_nor_waited_for(on_postgresql, writer, other, before, after):
    """T1 writes; T2 writes and commits; sequence; T1 commits; sequence: both changes, in the order of commits."""
    follower = Follower("entries.2")
    writer.execute("BEGIN")
    for statement in [*before, UPDATE.format("first to write", 1), *after]:
        writer.execute(statement)
    other.execute(UPDATE.format("first to commit", 3))

    on_postgresql.sequence()
    assert labels(follower.follow()) == ["first to commit"]
    writer.execute("COMMIT")
    on_postgresql.sequence()
    assert labels(follower.follow()) == ["first to write"]

    follower.assert_equals_source()
    assert on_postgresql.sequence() is None


def test_a_rolled_back_savepoint_leaves_no_change(on_postgresql, writer):
    """The rest of its transaction is sequenced after the commit."""
    follower = Follower("entries.2")
    for statement in (
        "BEGIN", "SAVEPOINT one", UPDATE.format("gone", 1), "ROLLBACK TO one", UPDATE.format("kept", 3),
    ):  # fmt: skip
        writer.execute(statement)
        assert on_postgresql.sequence() is None
    writer.execute("COMMIT")

    on_postgresql.sequence()

    assert labels(follower.follow()) == ["kept"]


def test_a_prepared_transaction_is_sequenced_when_it_commits(on_postgresql, writer, other):
    """A two-phase commit, finished by another connection."""
    name = f"prepared_{on_postgresql.name}"
    follower = Follower("entries.2")
    writer.execute("BEGIN")
    writer.execute(UPDATE.format("in two phases", 1))
    writer.execute(f"PREPARE TRANSACTION '{name}'")
    other.execute(UPDATE.format("meanwhile", 3))

    on_postgresql.sequence()
    assert labels(follower.follow()) == ["meanwhile"]
    other.execute(f"COMMIT PREPARED '{name}'")
    on_postgresql.sequence()

    assert labels(follower.follow()) == ["in two phases"]


def test_a_long_transaction_delays_no_other(on_postgresql, writer, other):
    """It has written and stays open; every other change is in the log after one sequencing."""
    follower = Follower("entries.2")
    writer.execute("BEGIN")
    writer.execute(UPDATE.format("long", 1))

    for number in range(20):
        other.execute(UPDATE.format(number, 3))
        on_postgresql.sequence()
        assert labels(follower.follow()) == [str(number)]
        log.prune()

    writer.execute("COMMIT")
    on_postgresql.sequence()
    assert labels(follower.follow()) == ["long"]
    follower.assert_equals_source()


def test_pruning_keeps_unsequenced_rows(on_postgresql, writer, other):
    """Rows of a transaction below the cursor that commits between sequencing and pruning are kept."""
    follower = Follower("entries.2")
    writer.execute("BEGIN")
    writer.execute(UPDATE.format("late", 1))
    other.execute(UPDATE.format("early", 3))
    on_postgresql.sequence()
    writer.execute("COMMIT")

    log.prune()

    assert OutboxRow.objects.count() == 1
    on_postgresql.sequence()
    log.prune()
    assert not OutboxRow.objects.exists()
    assert labels(follower.follow()) == ["early", "late"]


def test_after_pruning_the_log_continues(database):
    """The outbox is empty, and positions continue where they were."""
    follower = Follower("entries.2")
    for number in range(3):
        Entry.objects.filter(pk=1).update(label=str(number))
        database.sequence()
        log.prune()
        assert not OutboxRow.objects.exists()
        assert labels(follower.follow()) == [str(number)]


def test_other_transactions_write_nothing_into_the_log(database):
    """On PostgreSQL positions move with any commit; the engine's own commits must not cause more of them."""
    Entry.objects.filter(pk=1).update(label="x")
    database.sequence()
    before = Sequencer.objects.values().get()

    for number in range(5):
        Sequencer.objects.update(holder=f"somebody {number}")
        assert database.sequence() is None

    assert Sequencer.objects.values("next", "open").get() == {name: before[name] for name in ("next", "open")}
    assert not positions.probe().is_waiting


def test_an_idle_round_is_one_query(database, django_assert_num_queries):
    """It uses the driver's connection, whose statements Django does not count: none is counted."""
    Sequencer.objects.update(holder="somebody")

    with django_assert_num_queries(0, connection=connection):
        for _ in range(3):
            assert database.sequence() is None


def test_entries_begin_at_the_last_quiet_probe(database):
    """A page rendered while nothing waited needs no snapshot, even if positions have moved since."""
    for number in range(5):
        Sequencer.objects.update(holder=f"somebody {number}")
    quiet = positions.probe()
    page = positions.read_topic("entries.2").position
    Entry.objects.filter(pk=1).update(label="x")

    batch = sequence(positions.probe(), quiet)

    (entry,) = batch.entries
    assert entry.after <= entry.begins == quiet.offset
    assert page.offset <= entry.begins < entry.position


def test_positions_rise_with_every_batch(database):
    """The order of positions is the order in which entries were committed."""
    for number in range(10):
        Entry.objects.filter(pk=1 + number % 3).update(label=f"{number}")
        database.sequence()

    found = list(LogEntry.objects.order_by("id").values_list("position", flat=True))
    assert found == sorted(set(found))


def test_two_sequencers_at_once_neither_lose_nor_repeat(database):
    """Two sequencers at full speed and two writers: each change once, in order."""
    follower, writers_left = Follower("entries.2"), threading.Semaphore(0)
    errors: list[BaseException] = []

    def in_thread(work):
        def run():
            try:
                work()
            except BaseException as error:
                errors.append(error)
            finally:
                connections.close_all()

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def write(key):
        for number in range(40):
            with transaction.atomic():
                Entry.objects.filter(pk=key).update(label=f"{key}-{number}")
        writers_left.release()

    def sequence_all():
        while writers_left._value < 2 or positions.probe().is_waiting:
            sequence(positions.probe())

    threads = [in_thread(lambda key=key: write(key)) for key in (1, 3)]
    threads += [in_thread(sequence_all) for _ in range(2)]
    for thread in threads:
        thread.join(timeout=30)

    assert not errors
    received = labels(follower.follow())
    for key in ("1", "3"):
        mine = [int(label.split("-")[1]) for label in received if label.startswith(key)]
        assert mine == sorted(set(mine)), "no change is repeated or out of order"
        assert mine[-1] == 39
    entries = list(LogEntry.objects.order_by("position", "id"))
    assert [entry.id for entry in entries] == sorted(entry.id for entry in entries)
    follower.assert_equals_source()


def test_a_sequencer_that_was_overtaken_writes_nothing(database, monkeypatch):
    """Another one finishes between its reading and its writing."""
    from realtime.publishing import sequencer

    seen = positions.probe
    overtaken: list[Any] = []
    work = sequencer._entries

    def overtake():
        monkeypatch.setattr(sequencer, "_entries", work)
        overtaken.append(sequence(seen()))
        connections.close_all()

    def slowly(*args):
        entries = work(*args)
        if not overtaken:
            thread = threading.Thread(target=overtake)
            thread.start()
            thread.join()
        return entries

    Entry.objects.filter(pk=1).update(label="x")
    monkeypatch.setattr(sequencer, "_entries", slowly)

    assert database.sequence() is None
    assert len(overtaken) == 1
    assert LogEntry.objects.filter(topic="entries.2").count() == 1


def test_a_feed_whose_query_fails_affects_no_other(database, monkeypatch):
    """The database refuses a feed's query: its topics are reset, the others get their changes."""
    monkeypatch.setattr(
        type(registry["board"]), "get_queryset", lambda self: self.model.objects.extra(where=["no_such = 1"])
    )

    with transaction.atomic():
        Entry.objects.filter(pk=1).update(label="x")
        Board.objects.filter(pk=1).update(title="y")
    batch = database.sequence()

    told = {entry.topic: entry.kind for entry in batch.entries}
    assert told["board"] == "reset"
    assert told["entries.2"] == told["boards"] == "changes"


def test_rows_read_at_a_position_are_those_of_its_log(database):
    """A reader that renders at any moment and then follows the log misses nothing and sees nothing older."""
    followers = []
    for number in range(12):
        Entry.objects.filter(pk=1 + number % 4).update(label=f"{number}", board_id=1 + number % 3)
        followers += [Follower("entries.1"), Follower("entries.2")]
        if number % 3 == 2:
            database.sequence()

    for follower in followers:
        follower.follow()
        follower.assert_equals_source()


def test_a_frozen_sequencer_blocks_the_others_only_briefly(on_postgresql, monkeypatch):
    """The server ends the transaction of a process that was frozen while it held the lock; others do its work."""
    monkeypatch.setattr(transactions, "HOLD_SECONDS", 0.2)
    append, holds, thawed, outcome = log.append, threading.Event(), threading.Event(), []

    def freeze(entries):
        holds.set()
        thawed.wait(30)
        append(entries)

    def frozen():
        try:
            outcome.append(on_postgresql.sequence())
        except DatabaseError:
            outcome.append("ended")
        finally:
            connections.close_all()

    Entry.objects.filter(pk=1).update(label="held")
    monkeypatch.setattr(log, "append", freeze)
    thread = threading.Thread(target=frozen)
    thread.start()
    assert holds.wait(30)
    monkeypatch.setattr(log, "append", append)

    batch = on_postgresql.sequence()
    thawed.set()
    thread.join()

    assert batch is not None
    assert labels(batch.entries) == ["held"]
    assert outcome == ["ended"]
    assert LogEntry.objects.count() == len(batch.entries)


@pytest.mark.parametrize("kind", ["emptied", "rewritten"])
def test_a_table_whose_file_changes_under_a_snapshot_is_read_again(on_postgresql, kind, monkeypatch):
    """TRUNCATE and ALTER TABLE remove rows from older snapshots too, whose positions must not be given to them."""
    statements = {
        "emptied": ["TRUNCATE boards_entry"] * 2,
        "rewritten": [f"ALTER TABLE boards_entry ALTER note TYPE varchar({size})" for size in (300, 400)],
    }[kind]
    feed, follower = registry["entries"], Follower("entries.2")
    live_rows = feed.live_rows

    def strike():
        if len(statements) in strikes:
            strikes.discard(len(statements))
            on_postgresql.sql(statements.pop())
        return live_rows()

    monkeypatch.setattr(feed, "live_rows", strike)
    strikes = {2}
    reading = positions.read_topic("entries.2")
    assert not strikes
    assert contents(reading.rows) == ([] if kind == "emptied" else contents(follower.topic.rows))
    assert reading.position.offset == position_now().offset, "rows and position must be the present ones"

    on_postgresql.sequence()
    Entry.objects.create(board_id=2, label="new")
    strikes = {1}
    assert on_postgresql.sequence() is None, "the snapshot had lost its rows: nothing of it may be logged"
    assert on_postgresql.sequence() is not None
    follower.follow()
    follower.assert_equals_source()


def test_a_table_that_is_replaced_under_a_snapshot_is_read_again(on_postgresql, monkeypatch):
    """A restore drops and creates the table: the older snapshot sees no row of the new one."""
    feed, follower = registry["entries"], Follower("entries.2")
    live_rows = feed.live_rows
    statements = [
        "CREATE TABLE other (LIKE boards_entry INCLUDING ALL); INSERT INTO other SELECT * FROM boards_entry;"
        "DROP TABLE boards_entry CASCADE; ALTER TABLE other RENAME TO boards_entry"
    ]

    def strike():
        while statements:
            on_postgresql.sql(statements.pop())
        return live_rows()

    monkeypatch.setattr(feed, "live_rows", strike)

    reading = positions.read_topic("entries.2")

    assert contents(reading.rows) == contents(follower.topic.rows)


def test_a_page_rendered_inside_a_transaction_has_no_position(on_postgresql):
    """Its rows are of several moments, and may be rolled back: the page gets a snapshot when it subscribes."""
    with transaction.atomic():
        Entry.objects.filter(pk=1).update(label="perhaps")
        reading = positions.read_topic("entries.2")

    assert reading.position.epoch == ""
    assert contents(reading.rows) == contents(positions.read_topic("entries.2").rows)


def test_a_lone_change_takes_few_statements(database, monkeypatch):
    """One probe, one snapshot that is read without a lock, one transaction that writes."""
    executed: list[str] = []
    kind = type(engine_database())
    fetch = kind.fetch

    def fetch_counted(self: Database, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
        executed.append(statement)
        return fetch(self, statement, parameters)

    def count(execute: Any, sql: str, *arguments: Any) -> Any:
        executed.append(sql)
        return execute(sql, *arguments)

    monkeypatch.setattr(kind, "fetch", fetch_counted)
    for value in ("first", "second"):
        Entry.objects.filter(pk=1).update(value=value)
        executed.clear()
        with connection.execute_wrapper(count):
            batch = database.sequence()
        assert batch is not None
        assert len(batch.entries) == 1

    # The queries of the second one count: the first reads the types of columns.
    assert len(executed) <= STATEMENTS[database.vendor], "\n".join(one[:90] for one in executed)
