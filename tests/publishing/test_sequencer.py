"""Sequencing: one rule turns every write into upserts and deletes, each in its topic, and loses none."""

import contextlib
import datetime
import decimal
import json
import random
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator

import pytest
from django.db import connection, connections, models, transaction

from realtime import notices
from realtime.boards.models import Board, Entry
from realtime.databases.sqlite.database import SQLite
from realtime.engine.messages import decode_changes
from realtime.models import LogEntry, OutboxRow, Sequencer
from realtime.publishing import log as the_log
from realtime.publishing import positions
from realtime.publishing.positions import read_topic
from tests.support.contents import html_of, json_of
from tests.support.positions import position_now


@pytest.fixture
def pier(log) -> Board:
    """A second public board, empty."""
    board = Board.objects.create(slug="pier", title="The pier")
    log.sequence()
    return board


@pytest.fixture
def entry(quay) -> Entry:
    return quay.entries.first()


# ---------------------------------------------------------------- the one rule


def test_an_insert_is_an_upsert(log, quay):
    """In its board's topic and in no other."""
    new = quay.entries.create(label="new")

    assert log.sequenced() == {f"entries.{quay.pk}": [("upsert", str(new.pk))]}


def test_an_update_is_an_upsert_with_the_row_as_it_is_now(log, quay, entry):
    """Subscribers get what a query returns, not what the trigger noted."""
    Entry.objects.filter(pk=entry.pk).update(value="06:45")

    log.sequence()

    (change,) = decode_changes(log.entries(f"entries.{quay.pk}")[-1].payload)
    assert json.loads(json_of(change))["value"] == "06:45"
    assert "06:45" in html_of(change)


def test_entries_have_the_time_of_the_oldest_write(log, quay, entry):
    """The oldest of the round, by this process's clock; entries from the log have the time when they were made."""
    OutboxRow.objects.filter(pk=OutboxRow.objects.create(source="boards_entry").pk).update(
        written_at=1_577_836_800.0
    )
    quay.entries.create(label="new")

    batch = log.sequence()

    written = {round(each.written_at) for each in batch.entries}
    (logged,) = the_log.missed("entries", "entries", 0).entries
    assert written == {1_577_836_800}
    assert logged.written_at == logged.created_at.timestamp()


def test_a_delete_is_a_delete(log, quay, entry):
    """It has the row's key and none of its fields."""
    key = entry.pk
    entry.delete()

    log.sequence()

    assert log.entries(f"entries.{quay.pk}")[-1].payload == f'[{{"op":"delete","key":"{key}"}}]'


def test_a_move_is_a_delete_here_and_an_upsert_there(log, quay, pier, entry):
    """The subscribers of each board receive their half."""
    Entry.objects.filter(pk=entry.pk).update(board=pier)

    assert log.sequenced() == {
        f"entries.{quay.pk}": [("delete", str(entry.pk))],
        f"entries.{pier.pk}": [("upsert", str(entry.pk))],
    }


@pytest.mark.parametrize("is_visible, op", [(False, "delete"), (True, "upsert")])
def test_a_row_that_leaves_the_filter_is_deleted(log, quay, entry, is_visible, op):
    """A row that enters it is an upsert."""
    Entry.objects.filter(pk=entry.pk).update(is_visible=not is_visible)
    log.sequence()

    Entry.objects.filter(pk=entry.pk).update(is_visible=is_visible)

    assert log.sequenced() == {f"entries.{quay.pk}": [(op, str(entry.pk))]}


def test_a_changed_key_is_a_delete_of_the_old_one(log, quay, entry):
    """It is also an upsert of the new one."""
    Entry.objects.filter(pk=entry.pk).update(id=entry.pk + 1000)

    topic = f"entries.{quay.pk}"
    assert log.sequenced() == {topic: [("delete", str(entry.pk)), ("upsert", str(entry.pk + 1000))]}


def test_a_row_deleted_and_created_again_elsewhere_leaves_its_first_topic(log, quay, pier, entry):
    """In one transaction, under the same key."""
    key = entry.pk
    with transaction.atomic():
        entry.delete()
        Entry.objects.create(pk=key, board=pier, label="again")

    assert log.sequenced() == {
        f"entries.{quay.pk}": [("delete", str(key))],
        f"entries.{pier.pk}": [("upsert", str(key))],
    }


def test_a_row_that_left_and_returned_is_an_upsert(log, quay, pier, entry):
    """In the topic that it entered and left it is a delete: a hub may have read it there."""
    with transaction.atomic():
        for board in (pier, quay):
            Entry.objects.filter(pk=entry.pk).update(board=board)

    assert log.sequenced() == {
        f"entries.{quay.pk}": [("upsert", str(entry.pk))],
        f"entries.{pier.pk}": [("delete", str(entry.pk))],
    }


def test_two_rows_that_change_places_do_so_in_each_topic(log, quay, pier, entry):
    """One statement changes both boards."""
    other = pier.entries.create(label="other")
    log.sequence()

    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE boards_entry SET board_id = CASE board_id WHEN %s THEN %s ELSE %s END WHERE id IN (%s, %s)",
            [quay.pk, pier.pk, quay.pk, entry.pk, other.pk],
        )

    assert log.sequenced() == {
        f"entries.{quay.pk}": [("delete", str(entry.pk)), ("upsert", str(other.pk))],
        f"entries.{pier.pk}": [("delete", str(other.pk)), ("upsert", str(entry.pk))],
    }


def test_several_changes_of_a_row_are_one(log, quay, entry):
    """The row as it is now includes all of them."""
    for value in range(5):
        Entry.objects.filter(pk=entry.pk).update(value=value)

    assert log.sequenced() == {f"entries.{quay.pk}": [("upsert", str(entry.pk))]}


def test_a_row_that_was_created_and_deleted_is_a_delete(log, quay):
    """A hub may have read it in between."""
    passing = quay.entries.create(label="passing")
    key = passing.pk
    passing.delete()

    assert log.sequenced() == {f"entries.{quay.pk}": [("delete", str(key))]}


def test_deleting_a_board_deletes_its_entries(log, quay):
    """A cascade is one delete for each row."""
    keys = sorted(("delete", str(key)) for key in quay.entries.values_list("pk", flat=True))
    board = quay.pk
    quay.delete()

    assert log.sequenced()[f"entries.{board}"] == keys


def test_each_feed_of_a_table_has_its_own_changes(log, quay):
    """A board that becomes private leaves one list and enters the other."""
    Board.objects.filter(pk=quay.pk).update(is_public=False)

    key = str(quay.pk)
    assert log.sequenced() == {
        f"board.{key}": [("upsert", key)],
        "boards": [("delete", key)],
        "staffboards": [("upsert", key)],
        f"viewers.{key}": [("delete", key)],
        f"editors.{key}": [("delete", key)],
    }


def test_rolled_back_work_leaves_no_entry(log, quay):
    """Nothing of it is in the log."""
    with contextlib.suppress(ZeroDivisionError), transaction.atomic():
        quay.entries.update(label="never")
        raise ZeroDivisionError

    assert log.sequenced() == {}
    assert not LogEntry.objects.filter(payload__contains="never").exists()


def test_uncommitted_work_of_another_program_is_not_seen(log, quay):
    """All of it is seen after the commit."""
    path = connection.settings_dict["NAME"]
    with contextlib.closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as plain:
        plain.execute("BEGIN IMMEDIATE")
        plain.execute("UPDATE boards_entry SET label = 'soon'")
        before = log.sequenced()
        plain.execute("COMMIT")

    assert before == {}
    assert len(log.sequenced()[f"entries.{quay.pk}"]) == 2


# ---------------------------------------------------------------- positions of entries


def test_positions_of_a_topic_are_a_chain(log, quay, pier):
    """``after`` is the topic's previous entry, ``begins`` where the batch began; other topics do not count."""
    topic = f"entries.{quay.pk}"
    quay.entries.create(label="first")
    log.sequence()
    first = log.entries(topic)[-1]
    pier.entries.create(label="elsewhere")
    log.sequence()
    elsewhere = log.entries(f"entries.{pier.pk}")[-1]

    quay.entries.create(label="second")
    log.sequence()

    second = log.entries(topic)[-1]
    assert (second.after, second.begins) == (first.position, elsewhere.position)
    assert second.position == second.begins + 1 == position_now().offset


def test_the_first_entry_follows_the_beginning_of_the_log(log, pier):
    """Before the log's edge the topic may have changed."""
    positions.begin_epoch()
    edge = log.state.edge

    pier.entries.create(label="first")
    log.sequence()

    assert log.entries(f"entries.{pier.pk}")[-1].after == edge


def test_the_next_entry_of_each_topic_follows_a_reset_of_the_feed(log, quay):
    """An entry under the feed's name counts as an entry of each of its topics."""
    OutboxRow.objects.create(source="boards_entry", image=None)
    log.sequence()
    reset = log.entries("entries")[-1]

    quay.entries.create(label="after it")
    log.sequence()

    assert reset.kind == "reset"
    assert log.entries(f"entries.{quay.pk}")[-1].after == reset.position


def test_without_changes_nothing_is_written(log, quay):
    """An idle tick is one query."""
    before = LogEntry.objects.count()

    assert log.sequence() is None
    assert LogEntry.objects.count() == before


def test_changes_that_concern_no_feed_only_move_the_cursor(log):
    """So they are not read again."""
    OutboxRow.objects.create(source="a_table_that_is_gone", image={"id": 1})

    batch = log.sequence()

    assert batch.entries == []
    assert log.sequence() is None


# ---------------------------------------------------------------- floods and resets


@pytest.fixture
def narrow(settings):
    """At most three outbox rows in a batch."""
    settings.REALTIME = {"MAX_BATCH_ROWS": 3}


def test_a_flood_is_a_reset_of_the_topics_it_touched(narrow, log, quay, pier):
    """Instead of thousands of messages; other topics and feeds of other tables get no entry."""
    quay.entries.bulk_create(Entry(board=quay, label="many") for _ in range(4))

    assert log.sequenced() == {f"entries.{quay.pk}": "reset"}
    assert log.sequenced() == {}


def test_a_full_batch_is_not_a_flood(narrow, log, pier):
    """At the limit itself, changes are still sequenced row by row."""
    Entry.objects.bulk_create(Entry(board=pier, label="many") for _ in range(3))

    assert len(log.sequenced()[f"entries.{pier.pk}"]) == 3


def test_a_flood_resets_every_feed_of_its_table(narrow, log):
    """Each has topics of its own."""
    Board.objects.bulk_create(Board(slug=f"b{number}", title="many") for number in range(4))

    boards = Board.objects.filter(title="many")
    topics = [f"{feed}.{board.pk}" for feed in ("board", "viewers", "editors") for board in boards]
    assert log.sequenced() == dict.fromkeys(
        [*topics, "boards", "staffboards", "screens", "screenlist", "messages", "notices"], "reset"
    )


def test_notices_survive_a_flood(narrow, log, quay):
    """They cannot be read again."""
    Entry.objects.bulk_create(Entry(board=quay, label="many") for _ in range(5))
    notices.broadcast("Back at two")

    batch = log.sequence()

    assert [entry.payload for entry in batch.entries if entry.kind == "notice"] == ["Back at two"]


def test_an_image_without_a_key_resets_the_whole_feed(log, quay):
    """It means that any row may have changed: TRUNCATE, a new trigger."""
    OutboxRow.objects.create(source="boards_entry", image=None)
    quay.entries.create(label="at the same time")

    assert log.sequenced() == {"entries": "reset"}


def garble(board: Board) -> None:
    """Write a text where a number belongs, which Django never does."""
    path = connection.settings_dict["NAME"]
    with contextlib.closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as plain:
        plain.execute("UPDATE boards_entry SET board_id = 'garbage' WHERE board_id = ?", [board.pk])


@pytest.mark.parametrize("rows", [3, 5], ids=["row by row", "as a flood"])
def test_a_garbled_column_does_not_stop_the_log(narrow, log, live, quay, pier, rows):
    """Its row leaves the topic that it was in, the cursor moves, and other feeds get their changes."""
    quay.entries.all().delete()
    quay.entries.bulk_create(Entry(board=quay, label="x") for _ in range((rows - 1) // 2))
    log.sequence()
    keys = [("delete", str(key)) for key in quay.entries.values_list("pk", flat=True)]
    try:
        garble(quay)
        Board.objects.filter(pk=pier.pk).update(title="other news")

        told = log.sequenced()
    finally:
        Entry.objects.extra(where=["board_id = 'garbage'"])._raw_delete("default")

    assert "entries" not in told
    assert told[f"entries.{quay.pk}"] in ("reset", keys)
    assert told["boards"] in ("reset", [("upsert", str(pier.pk))])
    assert log.sequence() is not None  # the clean-up above
    assert log.sequence() is None


# ---------------------------------------------------------------- failing feeds


def failing(self):
    raise RuntimeError("this feed is broken")


@pytest.mark.parametrize(
    "fault",
    [
        {"get_queryset": failing},
        {"template_name": "no/such/template.html"},
        {"get_queryset": lambda self: Entry.objects.extra(where=["no_such_column = 1"])},
    ],
    ids=["queryset", "template", "SQL"],
)
def test_a_failing_feed_affects_no_other(log, live, quay, lines, fault):
    """Its own topics are reset; the other feed of the same table gets its changes; a log line has the reason."""
    live(Entry, name="broken", **fault)

    new = quay.entries.create(label="new")

    assert log.sequenced() == {"broken": "reset", f"entries.{quay.pk}": [("upsert", str(new.pk))]}
    assert any("feed broken cannot read" in line for line in lines())


def test_a_row_over_the_limit_is_left_out(log, quay, lines):
    """Subscribers that had it when it was smaller get a delete, and a log line names it."""
    Board.objects.filter(pk=quay.pk).update(description="x" * 300_000)

    assert log.sequenced()[f"board.{quay.pk}"] == [("delete", str(quay.pk))]
    assert read_topic(f"board.{quay.pk}").rows == []
    assert any(f"leaves out row '{quay.pk}'" in line for line in lines())


# ---------------------------------------------------------------- keys


class Bracketed(models.CharField):
    """A column whose Python value differs from that in the database."""

    def from_db_value(self, value, expression, connection):
        return None if value is None else f"<{value}>"

    def to_python(self, value):
        return value

    def get_prep_value(self, value):
        return str(value).strip("<>")


MOMENT = datetime.datetime(2026, 3, 1, 12, 30, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    "column, key",
    [
        (models.CharField(max_length=90), "it's 100% \"q\" \\ größe ☃ \n a.b"),
        (models.CharField(max_length=90), "42"),
        (models.CharField(max_length=90), "1e3"),
        (models.CharField(max_length=90), "null"),
        (models.UUIDField(), uuid.UUID("0123456789abcdef0123456789abcdef")),
        (models.BigIntegerField(), 2**53 + 1),
        (models.BigIntegerField(), 2**63 - 1),
        (models.BigIntegerField(), -(2**63)),
        (models.DateField(), datetime.date(2026, 3, 1)),
        (models.BooleanField(), True),
        (models.DateTimeField(), MOMENT),
        (models.DecimalField(max_digits=8, decimal_places=2), decimal.Decimal("1.50")),
        (Bracketed(max_length=20), "<x>"),
    ],
    ids=[
        "text", "digits", "a number as text", "null as text", "UUID", "2**53 + 1", "2**63 - 1", "-2**63", "date",
        "boolean", "datetime", "decimal", "converted",
    ],
)  # fmt: skip
@pytest.mark.parametrize("role", ["key", "topic"])
def test_any_column_can_name_a_row_or_a_topic(log, make_model, live, column, key, role):
    """An insert, an update and a delete have the same key and topic, whatever the database's representation."""
    if role == "key":
        _, _, args, options = column.deconstruct()
        column = type(column)(*args, **{**options, "primary_key": True})
        things = make_model("Thing", thing=column, note=models.TextField(default=""))
        feed = live(things, name="things", fields=["note"])
        one = things.objects.create(thing=key)
        topic, name = "things", str(one.pk)
    else:
        things = make_model("Thing", thing=column.clone(), note=models.TextField(default=""))
        feed = live(things, name="things", fields=["note"], topic_field="thing")
        one = things.objects.create(thing=key)
        topic, name = feed.topic(key), str(one.pk)
    one = things.objects.get()
    assert feed.topic_of(one) == topic
    assert role == "topic" or str(one.pk) == name

    inserted = log.sequenced()
    things.objects.update(note="changed")
    updated = log.sequenced()
    things.objects.all().delete()
    deleted = log.sequenced()

    assert inserted == updated == {topic: [("upsert", name)]}
    assert deleted == {topic: [("delete", name)]}


def test_rows_without_a_topic_are_in_no_topic(log, make_model, live):
    """NULL is not the text "None": subscribers of that topic do not get rows whose topic field is empty."""
    things = make_model("Thing", shelf=models.CharField(max_length=20, null=True))
    live(things, name="things", topic_field="shelf")
    on_none = things.objects.create(shelf="None")
    log.sequence()

    lost = things.objects.create(shelf=None)
    told = log.sequenced()

    assert ("upsert", str(lost.pk)) not in told.get("things.None", [])
    assert [row.key for row in read_topic("things.None").rows] == [str(on_none.pk)]


# ---------------------------------------------------------------- notices


def test_a_notice_is_an_entry_of_its_topic(log, quay):
    """Under the topic * it is for everyone; the topic's chain of changes does not include it."""
    topic = f"entries.{quay.pk}"
    before = log.entries(topic)[-1].position
    notices.broadcast("to all")
    notices.broadcast("to these", topic)
    log.sequence()
    quay.entries.create(label="next")
    log.sequence()

    assert [(entry.topic, entry.payload) for entry in LogEntry.objects.filter(kind="notice")] == [
        ("*", "to all"),
        (topic, "to these"),
    ]
    assert log.entries(topic)[-1].after == before


# ---------------------------------------------------------------- the log's life


def test_an_outbox_whose_ids_went_back_begins_a_new_epoch(log, quay):
    """Ids are used again, so positions of the old epoch have lost their meaning."""
    quay.entries.create(label="beyond the fifth id")
    log.sequence()
    before = log.state
    OutboxRow.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE sqlite_sequence SET seq = 5 WHERE name = 'realtime_outboxrow'")

    assert log.sequence() is None

    assert log.state.epoch != before.epoch
    assert (log.state.next, log.state.edge) == (6, 6)
    assert not LogEntry.objects.exists()


def test_a_database_without_a_log_gets_one(log, quay):
    """As after a flush."""
    Sequencer.objects.all().delete()

    assert log.sequence() is None
    assert log.state.epoch
    quay.entries.create(label="new")
    assert log.sequence() is not None


# ---------------------------------------------------------------- two at once


@pytest.fixture
def in_thread() -> Iterator[Callable[..., threading.Thread]]:
    """Run functions of the database in threads; the threads are joined, their connections closed."""
    threads = []
    failures = []

    def start(function: Callable[[], object]) -> threading.Thread:
        def run() -> None:
            try:
                function()
            except BaseException as error:
                failures.append(error)
            finally:
                connections.close_all()

        thread = threading.Thread(target=run)
        thread.start()
        threads.append(thread)
        return thread

    yield start
    for thread in threads:
        thread.join(30)
    assert failures == []


class Pause:
    """Holds the first caller of a function, after the function has returned, until the test lets it continue."""

    def __init__(self, function: Callable) -> None:
        self.function = function
        self.reached, self.go_on = threading.Event(), threading.Event()
        self._first = threading.Lock()

    def __call__(self, *args):
        result = self.function(*args)
        if self._first.acquire(blocking=False):
            self.reached.set()
            assert self.go_on.wait(20)
        return result


@pytest.fixture
def paused(monkeypatch, log) -> Iterator[Pause]:
    """The first sequencer waits between its snapshot and its commit."""
    pause = Pause(the_log.newest)
    monkeypatch.setattr(the_log, "newest", pause)
    yield pause
    pause.go_on.set()


@pytest.mark.parametrize("writes_more", [False, True], ids=["the same", "with one more change"])
def test_of_two_sequencers_one_writes(log, quay, paused, in_thread, writes_more):
    """The other finds the cursor moved and discards its work: one entry for each topic and position, none lost."""
    topic = f"entries.{quay.pk}"
    count = len(log.entries(topic))
    quay.entries.create(label="first")
    slow_ones: list[object] = []
    slow = in_thread(lambda: slow_ones.append(log.sequence()))
    assert paused.reached.wait(10)
    if writes_more:
        quay.entries.create(label="second")

    quick = log.sequence()
    paused.go_on.set()
    slow.join(10)

    assert slow_ones == [None]
    assert len(quick.entries) == 1
    assert len(decode_changes(quick.entries[0].payload)) == 1 + writes_more
    assert len(log.entries(topic)) == count + 1
    assert log.sequence() is None


@pytest.mark.parametrize(
    "owner, name",
    [(SQLite, "snapshot"), (the_log, "newest")],
    ids=["before it reads", "after it has read"],
)
def test_a_change_after_the_snapshot_waits_for_the_next_round(log, quay, in_thread, monkeypatch, owner, name):
    """Rows that are committed between a sequencer's snapshot and its own commit are neither lost nor split."""
    first = quay.entries.create(label="first")
    pause = Pause(getattr(owner, name))
    monkeypatch.setattr(owner, name, lambda *args: pause(*args))  # a method too, where the owner is a class
    batches = []
    slow = in_thread(lambda: batches.append(log.sequence()))
    assert pause.reached.wait(10)

    second = quay.entries.create(label="second")
    Entry.objects.filter(pk=first.pk).update(label="first, changed")
    pause.go_on.set()
    slow.join(10)

    (entry,) = batches[0].entries
    (change,) = decode_changes(entry.payload)
    assert json.loads(json_of(change))["label"] == "first"
    assert log.sequenced() == {entry.topic: sorted([("upsert", str(first.pk)), ("upsert", str(second.pk))])}


@pytest.mark.parametrize(
    "begin",
    [positions.begin_epoch, lambda: Sequencer.objects.update(epoch="another0")],
    ids=["that goes on", "that begins at the same offset"],
)
def test_a_new_epoch_makes_a_running_sequencer_discard_its_work(log, quay, paused, in_thread, begin):
    """Nothing of the old epoch enters the new log."""
    topic = f"entries.{quay.pk}"
    quay.entries.create(label="first")
    batches = []
    slow = in_thread(lambda: batches.append(log.sequence()))
    assert paused.reached.wait(10)

    begin()
    paused.go_on.set()
    slow.join(10)

    assert batches == [None]
    assert not [entry for entry in log.entries(topic) if '"first"' in entry.payload]


def test_pruning_does_not_disturb_a_running_sequencer(log, quay, paused, in_thread, settings):
    """The entry written after pruning still follows the topic's previous position."""
    settings.REALTIME = {"LOG_RETENTION_SECONDS": -1}
    before = log.entries(f"entries.{quay.pk}")[-1].position
    quay.entries.create(label="first")
    batches = []
    slow = in_thread(lambda: batches.append(log.sequence()))
    assert paused.reached.wait(10)

    the_log.prune()
    paused.go_on.set()
    slow.join(10)

    assert [entry.after for entry in batches[0].entries] == [before]


def test_sequencers_and_writers_together_lose_nothing(log, quay, in_thread):
    """With two of each, entries form one chain per topic, and replaying them gives the table."""
    pier = Board.objects.create(slug="pier", title="The pier")
    log.sequence()
    start = {
        board.pk: {row.key: json_of(row) for row in read_topic(f"entries.{board.pk}").rows}
        for board in (quay, pier)
    }
    beginning = log.state.next
    written = threading.Event()

    def write(seed: int) -> None:
        chance = random.Random(seed)
        for number in range(60):
            keys = list(Entry.objects.values_list("pk", flat=True))
            chosen = Entry.objects.filter(pk=chance.choice(keys)) if keys else Entry.objects.none()
            match chance.randrange(5):
                case 0:
                    Entry.objects.create(board=chance.choice([quay, pier]), label=f"{seed} {number}")
                case 1:
                    chosen.update(board=chance.choice([quay, pier]))
                case 2:
                    chosen.update(is_visible=chance.random() < 0.7)
                case 3 if len(keys) > 3:
                    chosen.delete()
                case _:
                    chosen.update(value=str(chance.random()))

    def keep_sequencing() -> None:
        while not written.is_set():
            log.sequence()

    sequencers = [in_thread(keep_sequencing) for _ in range(2)]
    writers = [in_thread(lambda seed=seed: write(seed)) for seed in (1, 2)]
    for writer in writers:
        writer.join(60)
    written.set()
    for sequencer in sequencers:
        sequencer.join(30)
    while log.sequence():
        pass

    for board in (quay, pier):
        rows, last = dict(start[board.pk]), 0
        for entry in log.entries(f"entries.{board.pk}"):
            if entry.position <= beginning:
                last = entry.position
                continue
            assert entry.position > last, "two entries for one topic and position"
            assert entry.after == (last or log.state.edge)
            assert entry.after <= entry.begins < entry.position
            last = entry.position
            for change in decode_changes(entry.payload):
                if change.op == "delete":
                    rows.pop(change.key, None)
                else:
                    rows[change.key] = json_of(change)
        assert rows == {row.key: json_of(row) for row in read_topic(f"entries.{board.pk}").rows}
