"""Functions of ``on_change``: called for each change of a row, in order, whatever process ends at whatever moment."""

import contextlib
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, OperationalError, connection, transaction

from realtime.boards.models import Board, Entry
from realtime.changes import Change, handlers, on_change
from realtime.feeds import Feed, registry
from realtime.models import HandlerCursor, LogEntry
from realtime.publishing import capture, handler_cursors, interest, log, positions, sequencer
from realtime.publishing.handlers import Runner
from tests.contract.own_feeds import only_own_feeds, prepared  # noqa: F401

NAME = "on_change.probe"


class Killed(BaseException):
    """The end of the process at that moment."""


class Replica:
    """A copy of a feed's rows, made from the changes that a function of ``on_change`` receives."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], dict[str, Any]] = {}
        self.changes: list[Change] = []

    def apply(self, change: Change) -> None:
        self.changes.append(change)
        place = change.topic, change.key
        if change.op == "reset":
            is_of = lambda topic: change.topic in (topic, topic.partition(".")[0])  # noqa: E731
            self.rows = {place: row for place, row in self.rows.items() if not is_of(place[0])}
        elif change.op == "delete":
            self.rows.pop(place, None)
        else:
            assert change.values is not None
            before = self.rows.get(place)
            assert before is None or before["position"] <= change.values["position"], (
                "older values after newer ones"
            )
            self.rows[place] = change.values

    @property
    def seen(self) -> list[tuple[str, str, str]]:
        return [(change.op, change.topic, change.key) for change in self.changes]


@pytest.fixture
def probe(database) -> Iterator[Feed]:
    """A feed of entries, in one topic for each board."""
    feed = type(
        "Probe", (Feed,), {"name": "probe", "topic_field": "board_id", "fields": ["label", "position"]}
    )(Entry)
    registry.add(feed)
    capture.install()
    database.sequence()
    yield feed
    registry.remove("probe")
    for name in [name for name in handlers if name.startswith(NAME)]:
        del handlers[name]


def handle(function: Callable[[Change], Any], name: str = NAME, **options: Any) -> Runner:
    """Register a function, and return what calls it; it begins now."""
    on_change("probe", name=name, **options)(function)
    runner = Runner(handlers[name], lambda: True)
    runner.handle_some()
    return runner


def again(runner: Runner) -> Runner:
    """Return what calls the same function in the next process."""
    return Runner(runner.handler, lambda: True)


def drain(runner: Runner) -> float:
    """Handle all that there is; return the pause after it."""
    while not (pause := runner.handle_some()):
        pass
    return pause


def source() -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (f"probe.{entry.board_id}", str(entry.pk)): {"label": entry.label, "position": entry.position}
        for entry in Entry.objects.all()
    }


@pytest.mark.parametrize("atomic", [False, True], ids=["plain", "atomic"])
def test_each_change_is_one_call_with_the_rows_values(database, probe, atomic):
    """Nothing for what was there before, and none twice, also not in the next process."""
    replica = Replica()
    runner = handle(replica.apply, atomic=atomic)

    Entry.objects.filter(pk=1).update(label="renamed")
    database.sequence()
    Entry.objects.filter(pk=1).update(board_id=3)
    Entry.objects.filter(pk=2).delete()
    database.sequence()
    drain(runner)
    drain(again(runner))

    assert sorted(replica.seen[:1]) == [("upsert", "probe.2", "1")]
    assert sorted(replica.seen[1:]) == [
        ("delete", "probe.1", "2"),
        ("delete", "probe.2", "1"),
        ("upsert", "probe.3", "1"),
    ]
    assert replica.changes[0].values == {"label": "renamed", "position": 1}
    assert not any(change.is_initial for change in replica.changes)
    assert len({change.id for change in replica.changes}) == 4


def test_a_topic_that_no_page_follows_is_handled(database, probe):
    """The log then has rows for functions although no process needs them for pages."""
    interest.begin("a process that holds nothing")
    replica = Replica()
    runner = handle(replica.apply)

    Entry.objects.filter(pk=1).update(label="renamed")
    database.sequence()
    drain(runner)

    assert replica.seen == [("upsert", "probe.2", "1")]


async def test_an_async_function_is_awaited(database, probe, in_database):
    """In the thread of the function."""
    replica = Replica()

    async def later(change: Change) -> None:
        replica.apply(change)

    def change_and_handle() -> None:
        runner = handle(later)
        Entry.objects.filter(pk=1).update(label="renamed")
        database.sequence()
        drain(runner)

    await in_database(change_and_handle)

    assert replica.seen == [("upsert", "probe.2", "1")]


@pytest.mark.parametrize("number", range(6))
def test_a_process_that_is_killed_before_the_cursor_moves_repeats_that_call_alone(
    database, probe, monkeypatch, number
):
    """With the same id; all others are called once."""
    replica = Replica()
    runner = handle(replica.apply)
    Entry.objects.filter(pk__lte=3).update(label="first")
    database.sequence()
    Entry.objects.filter(pk__lte=3).update(label="second")
    database.sequence()
    move, moves = handler_cursors.move, []

    def dies(*args: Any) -> Any:
        moves.append(args)
        if len(moves) == number + 1:
            raise Killed
        return move(*args)

    monkeypatch.setattr(handler_cursors, "move", dies)
    with pytest.raises(Killed):
        drain(runner)
    drain(again(runner))

    ids = [change.id for change in replica.changes]
    assert len(ids) == 7
    assert len(set(ids)) == 6
    assert ids[number] == ids[number + 1]


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("when", ["in the function", "before the commit"])
def test_what_an_atomic_function_writes_is_written_exactly_once(database, probe, number, when, monkeypatch):
    """Wherever its process is killed."""
    calls: list[Change] = []

    def count(change: Change) -> None:
        Board.objects.create(slug=f"{len(calls)}", title=change.id)
        calls.append(change)
        if when == "in the function" and len(calls) == number + 1:
            raise Killed

    runner = handle(count, atomic=True)
    Entry.objects.filter(pk__lte=3).update(label="first")
    database.sequence()
    Entry.objects.filter(pk__lte=3).update(label="second")
    database.sequence()
    call = Runner._call

    def dies(self: Runner, change: Change) -> None:
        call(self, change)
        if len(calls) == number + 1:
            raise Killed

    with monkeypatch.context() as patch:
        if when == "before the commit":
            patch.setattr(Runner, "_call", dies)
        with pytest.raises(Killed):
            drain(runner)
    drain(again(runner))

    written = list(Board.objects.filter(slug__in=map(str, range(10))).values_list("title", flat=True))
    assert len(calls) == 7
    assert len(written) == len(set(written)) == 6


def test_a_function_that_raises_is_called_again_and_stops_no_other(database, probe, lines):
    """Its failures are noted until it succeeds; the pause between them grows."""
    replica, healthy = Replica(), Replica()
    faults: list[BaseException] = [ValueError("the index is away"), SystemExit(1), KeyError("x")]

    def fails(change: Change) -> None:
        if faults:
            raise faults.pop(0)
        replica.apply(change)

    runner, other = handle(fails), handle(healthy.apply, name=f"{NAME}.healthy")
    Entry.objects.filter(pk=1).update(label="renamed")
    database.sequence()

    pauses = [drain(runner) for _ in range(3)]
    stored = HandlerCursor.objects.get(pk=NAME)
    drain(other)
    drain(runner)

    assert pauses == [1, 2, 4]
    assert (stored.failures, stored.error) == (3, "KeyError: 'x'")
    assert [line.partition(";")[0] for line in lines() if NAME in line] == [
        f"{NAME} failed for the upsert of row 1 in probe.2"
    ] * 3
    assert healthy.seen == replica.seen == [("upsert", "probe.2", "1")]
    assert HandlerCursor.objects.get(pk=NAME).failures == 0


def test_a_new_function_may_begin_with_all_rows(database, probe, monkeypatch):
    """They are marked, and read in pages; a process that is killed meanwhile goes on after the last row."""
    monkeypatch.setattr("realtime.publishing.handlers.ROWS_AT_ONCE", 3)
    replica = Replica()

    def dies_at_the_fifth(change: Change) -> None:
        if len(replica.changes) == 4 and not again_begun:
            raise Killed
        replica.apply(change)

    again_begun: list[bool] = []
    on_change("probe", name=NAME, from_start=True)(dies_at_the_fifth)
    runner = Runner(handlers[NAME], lambda: True)
    with pytest.raises(Killed):
        drain(runner)
    again_begun.append(True)
    drain(again(runner))

    assert [change.key for change in replica.changes] == [str(number) for number in range(1, 11)]
    assert all(change.is_initial for change in replica.changes)
    assert replica.rows == source()


def reset_by_flood(database, settings) -> None:
    settings.REALTIME = {**settings.REALTIME, "MAX_BATCH_ROWS": 3}
    Entry.objects.update(label="flood")
    database.sequence()


def reset_by_pruning(database, settings) -> None:
    Entry.objects.filter(pk=1).update(label="pruned")
    database.sequence()
    settings.REALTIME = {**settings.REALTIME, "LOG_RETENTION_SECONDS": 0, "HANDLER_RETENTION_SECONDS": 0}
    log.prune()


def reset_by_epoch(database, settings) -> None:
    positions.begin_epoch()


def reset_by_another_release(database, settings) -> None:
    """A release without functions, which leaves out rows that no process holds."""
    Entry.objects.filter(pk=1).update(label="unfollowed")
    database.sequence()
    LogEntry.objects.filter(topic="probe.2").update(kind=LogEntry.Kind.UNFOLLOWED, payload="", fingerprint="")


@pytest.mark.parametrize(
    "cause, topics",
    [
        (reset_by_flood, {"probe.1", "probe.2"}),
        (reset_by_pruning, {"probe"}),
        (reset_by_epoch, {"probe"}),
        (reset_by_another_release, {"probe.2"}),
    ],
)
def test_what_the_log_does_not_have_is_a_reset_followed_by_all_rows(database, probe, settings, cause, topics):
    """The function has what the database has afterwards, and goes on with the changes that follow."""
    replica = Replica()
    runner = handle(replica.apply, from_start=True)
    drain(runner)
    replica.changes.clear()

    cause(database, settings)
    drain(runner)
    Entry.objects.filter(pk=5).delete()
    database.sequence()
    drain(runner)

    assert {change.topic for change in replica.changes if change.op == "reset"} == topics
    assert all(change.is_initial for change in replica.changes if change.op == "upsert")
    assert replica.seen[-1] == ("delete", "probe.2", "5")
    assert replica.rows == source()


class Idempotent(Replica):
    """A receiver that recognises repetitions by their ids."""

    def apply(self, change: Change) -> None:
        if change.id not in {each.id for each in self.changes}:
            super().apply(change)


def reset_topics(database, *topics: str) -> None:
    """Append a reset for each topic, as the sequencer does that has no time for the query of the feed."""
    for topic in topics:
        Entry.objects.filter(pk=1).update(label=f"before a reset of {topic}")
        database.sequence()
        newest = LogEntry.objects.filter(topic="probe.2").latest("position")
        LogEntry.objects.filter(pk=newest.pk).update(
            topic=topic, kind=LogEntry.Kind.RESET, payload="", fingerprint="", format=""
        )


@pytest.mark.parametrize("atomic", [False, True], ids=["plain", "atomic"])
@pytest.mark.parametrize(
    ("waiting", "called"),
    [
        (["probe.2"] * 4, ["probe.2"]),
        (["probe.2", "probe.1", "probe.2"], ["probe.1", "probe.2"]),
        (["probe.2", "probe"], ["probe"]),
        (["probe", "probe.2"], ["probe", "probe.2"]),
    ],
    ids=lambda topics: " ".join(topics),
)
def test_of_resets_that_wait_only_the_last_is_called(database, probe, waiting, called, atomic):
    """A query that stays slow makes one for each change: all rows would be read and handled as often."""
    replica = Idempotent()
    runner = handle(replica.apply, from_start=True, atomic=atomic)
    drain(runner)
    replica.changes.clear()

    reset_topics(database, *waiting)
    drain(runner)

    assert [change.topic for change in replica.changes if change.op == "reset"] == called
    assert replica.rows == source()


def test_rows_after_another_reset_are_no_repetition(database, probe, monkeypatch):
    """It is written while the rows after the start are handled, and clears a receiver that then gets the same rows."""
    monkeypatch.setattr("realtime.publishing.handlers.ROWS_AT_ONCE", 1)
    replica = Idempotent()
    resets: list[str] = []

    def apply(change: Change) -> None:
        if change.is_initial and not resets:
            resets.append("probe.2")
            reset_topics(database, "probe.2")
        replica.apply(change)

    reset_topics(database, "probe.2")
    runner = handle(apply, from_start=True)
    drain(runner)

    assert [change.op for change in replica.changes].count("reset") == 1
    assert replica.rows == source()


def test_the_log_waits_for_a_function_up_to_a_bound(database, probe, settings):
    """Entries that it has not handled outlast LOG_RETENTION_SECONDS."""
    replica = Replica()
    runner = handle(replica.apply)
    Entry.objects.filter(pk=1).update(label="kept")
    database.sequence()
    settings.REALTIME = {**settings.REALTIME, "LOG_RETENTION_SECONDS": 0}

    log.prune()
    drain(runner)

    assert replica.seen == [("upsert", "probe.2", "1")]
    Entry.objects.filter(pk=1).update(label="handled")
    database.sequence()
    runner._move_due = 0.0
    drain(runner)
    log.prune()
    assert not LogEntry.objects.filter(topic="probe.2").exists()
    drain(runner)
    assert replica.seen == [("upsert", "probe.2", "1")] * 2


def test_a_position_that_is_handled_in_part_is_no_place_to_resume_from(database, probe, settings):
    """One round may have touched several topics: pruned after the first of them, the others are a reset."""
    replica = Replica()
    runner = handle(replica.apply, from_start=True)
    drain(runner)
    replica.changes.clear()
    Entry.objects.filter(pk__lte=2).update(label="of two topics")
    database.sequence()
    settings.REALTIME = {**settings.REALTIME, "LOG_RETENTION_SECONDS": 0, "HANDLER_RETENTION_SECONDS": 0}

    stored = handler_cursors.read(NAME)
    steps, _ = runner._next_steps(probe, stored.cursor)
    runner._take(stored, next(steps))
    log.prune()
    drain(again(runner))

    assert [change.op for change in replica.changes[:2]] == ["upsert", "reset"]
    assert replica.rows == source()


def test_of_two_processes_one_moves_the_cursor(database, probe):
    """One that was frozen in a call finds the function's changes handled, and calls it for none of them again."""
    replica = Replica()
    others: list[Runner] = []

    def slow(change: Change) -> None:
        if others:
            drain(others.pop())
        replica.apply(change)

    runner = handle(slow)
    Entry.objects.filter(pk__lte=3).update(label="new")
    database.sequence()
    others.append(again(runner))
    drain(runner)

    ids = [change.id for change in replica.changes]
    assert len(set(ids)) == 3
    assert len(ids) == 4  # the one that was under way


WRITES: list[Callable[[random.Random, int], Any]] = [
    lambda chance, n: Entry.objects.filter(pk=chance.randint(1, 12)).update(label=f"{n}", position=n),
    lambda chance, n: Entry.objects.filter(pk=chance.randint(1, 12)).update(
        board_id=chance.randint(1, 3), position=n
    ),
    lambda chance, n: Entry.objects.filter(pk=chance.randint(1, 12)).delete(),
    lambda chance, n: Entry.objects.create(board_id=chance.randint(1, 3), label=f"{n}", position=n),
    lambda chance, n: Entry.objects.update(position=n),
]


def caught_in_a_model(change: Change) -> None:
    with contextlib.suppress(IntegrityError):  # Board.save() has a savepoint of its own
        Board(slug="taken", title=change.id).save_base(force_insert=True)


def caught_in_many_models(change: Change) -> None:
    with contextlib.suppress(IntegrityError):
        Board.objects.bulk_create([Board(slug="taken", title=change.id)])


def caught_in_an_inner_block_without_savepoint(change: Change) -> None:
    with contextlib.suppress(IntegrityError), transaction.atomic(savepoint=False):
        Board.objects.create(slug="taken", title=change.id)


def marked_for_rollback(change: Change) -> None:
    transaction.set_rollback(True)


def closed(change: Change) -> None:
    connection.close()


def deferred_key_without_row(change: Change) -> None:
    Entry.objects.bulk_create([Entry(board_id=10**6, label=change.id)])  # create() would ask for the board


def caught_in_plain_sql(change: Change) -> None:
    with contextlib.suppress(DatabaseError), connection.cursor() as cursor:
        cursor.execute("SELECT no_such_column FROM boards_board")


@pytest.mark.parametrize(
    "fails, words",
    [
        (caught_in_a_model, "transaction.atomic()"),
        (caught_in_many_models, "transaction.atomic()"),
        (caught_in_an_inner_block_without_savepoint, "transaction.atomic()"),
        (marked_for_rollback, "transaction.atomic()"),
        (closed, "transaction.atomic()"),
        (deferred_key_without_row, "IntegrityError"),
        (caught_in_plain_sql, "transaction.atomic()"),
    ],
)
def test_an_atomic_function_whose_transaction_cannot_be_committed_has_failed(
    database, probe, lines, fails, words
):
    """It is counted, with a growing pause, and says what to do; nothing that it wrote is left."""
    if fails is caught_in_plain_sql and database.vendor == "sqlite":
        pytest.skip("on SQLite a statement that fails leaves a transaction as it was")
    Board.objects.create(slug="taken", title="taken")
    is_failing = [True]
    calls: list[str] = []

    def write(change: Change) -> None:
        calls.append(change.id)
        Board.objects.create(slug=f"written-{len(calls)}", title=change.id)
        if is_failing:
            fails(change)

    runner = handle(write, atomic=True)
    Entry.objects.filter(pk__lte=2).update(label="renamed")
    database.sequence()
    pauses = [drain(runner) for _ in range(3)]
    stored = HandlerCursor.objects.get(pk=NAME)
    is_written = Board.objects.filter(slug__startswith="written-").exists()
    is_failing.clear()
    drain(runner)

    assert pauses == [1, 2, 4]
    assert stored.failures == 3
    assert words in stored.error
    assert len([line for line in lines() if f"{NAME} failed for the upsert of row" in line]) == 3
    assert not is_written
    assert [len(set(calls[:4])), len(calls)] == [1, 5]
    written = Board.objects.filter(slug__startswith="written-")
    assert sorted(written.values_list("title", flat=True)) == sorted(set(calls))


def in_a_block_of_its_own(change: Change) -> None:
    try:
        with transaction.atomic():
            Board.objects.create(slug="one", title=change.id)
    except IntegrityError:
        pass


def by_get_or_create(change: Change) -> None:
    Board.objects.get_or_create(slug="one", defaults={"title": change.id})


@pytest.mark.parametrize("write", [in_a_block_of_its_own, by_get_or_create])
def test_an_atomic_function_may_try_what_fails_in_a_block_of_its_own(database, probe, write):
    """As the guide says: each change is handled once."""
    replica = Replica()

    def try_to_write(change: Change) -> None:
        write(change)
        replica.apply(change)

    runner = handle(try_to_write, atomic=True)
    Entry.objects.filter(pk__lte=3).update(label="renamed")
    database.sequence()
    drain(runner)

    assert len(replica.seen) == 3
    assert Board.objects.filter(slug="one").count() == 1
    assert HandlerCursor.objects.get(pk=NAME).failures == 0


@pytest.mark.parametrize(
    "error",
    [DatabaseError("gone"), OperationalError("locked"), ValueError("no mail"), SystemExit(1)],
    ids=repr,
)
def test_what_fails_after_the_commit_is_no_failure_of_the_change(database, probe, lines, error):
    """The function's writes are committed, so it is not called again; the log says so, and later changes follow."""
    replica = Replica()
    is_called: list[str] = []

    def fail() -> None:
        is_called.append("called")
        raise error

    def write(change: Change) -> None:
        replica.apply(change)
        Board.objects.create(slug=f"written-{len(replica.changes)}", title=change.id)
        if len(replica.changes) == 1:
            transaction.on_commit(fail)

    runner = handle(write, atomic=True)
    Entry.objects.filter(pk__lte=3).update(label="renamed")
    database.sequence()
    drain(runner)
    drain(again(runner))

    assert is_called == ["called"]
    assert len(replica.seen) == len(set(replica.seen)) == 3
    assert Board.objects.filter(slug__startswith="written-").count() == 3
    assert HandlerCursor.objects.get(pk=NAME).failures == 0
    [line] = [line for line in lines() if NAME in line]
    assert "transaction.on_commit failed, and is not called again" in line


TEMPLATE = "<p>{{ entry.label }}{% if entry.label == 'bad' %}{{ entry.boom }}{% endif %}</p>"


@pytest.fixture
def pictured(probe, database, tmp_path, settings, monkeypatch) -> Feed:
    """The feed with a template, which fails for rows with the label ``bad``."""
    (tmp_path / "picture.html").write_text(TEMPLATE)
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path, *settings.TEMPLATES[0]["DIRS"]]}]
    monkeypatch.setattr(Entry, "boom", property(lambda self: 1 / 0), raising=False)
    registry.remove("probe")
    declared = {"name": "probe", "topic_field": "board_id", "fields": ["label", "position"]}
    feed = type("Probe", (Feed,), {**declared, "template_name": "picture.html"})(Entry)
    registry.add(feed)
    capture.install()
    database.sequence()
    return feed


@pytest.mark.parametrize("format", ["all", "html", "rows"])
def test_a_function_has_the_values_of_rows_whatever_formats_pages_hold(
    database, pictured, monkeypatch, format
):
    """Entries for holders of one format alone are written by a process without functions."""
    replica = Replica()
    runner = handle(replica.apply, from_start=True)
    drain(runner)
    if format != "all":
        monkeypatch.setattr(sequencer, "is_handled", lambda feed: False)
        monkeypatch.setattr(interest, "followed", lambda topics: dict.fromkeys(topics, format))

    Entry.objects.filter(pk=1).update(label="good", position=100)
    Entry.objects.filter(pk=2).update(label="bad", position=101)
    Entry.objects.filter(pk=5).update(label="bad", position=102)
    database.sequence()
    formats = set(LogEntry.objects.values_list("format", flat=True))
    drain(runner)

    assert formats & {format}
    assert replica.rows == source()
    assert "delete" not in {change.op for change in replica.changes}
    Entry.objects.filter(pk=5).delete()
    Entry.objects.filter(pk=2).update(board_id=3)
    database.sequence()
    drain(runner)
    assert replica.rows == source()
    assert [change.op for change in replica.changes].count("delete") == 2


def test_all_rows_that_are_read_are_those_whose_values_can_be_read(database, pictured, settings):
    """At the start and after a reset: one whose template fails is there."""
    Entry.objects.filter(pk__lte=2).update(label="bad")
    database.sequence()
    replica = Replica()
    on_change("probe", name=NAME, from_start=True)(replica.apply)
    runner = Runner(handlers[NAME], lambda: True)
    drain(runner)

    assert replica.rows == source()
    reset_by_flood(database, settings)
    Entry.objects.filter(pk=1).update(label="bad")
    database.sequence()
    drain(runner)
    assert replica.rows == source()


@pytest.mark.parametrize("atomic", [False, True], ids=["plain", "atomic"])
@pytest.mark.parametrize("seed", range(4))
def test_after_any_sequence_of_writes_and_deaths_a_function_has_what_the_database_has(
    database, probe, settings, monkeypatch, seed, atomic
):
    """Rows that are read, entries, resets, pruning and new epochs between them: never older values after newer."""
    chance = random.Random(seed)
    bounds = {
        "MAX_BATCH_ROWS": 15,
        "LOG_RETENTION_SECONDS": 0,
        "HANDLER_RETENTION_SECONDS": chance.choice([0, 60]),
    }
    settings.REALTIME = {**settings.REALTIME, **bounds}
    monkeypatch.setattr("realtime.publishing.handlers.ROWS_AT_ONCE", 3)
    replica = Replica()
    numbers = iter(range(100, 10_000))

    def something() -> None:
        number = next(numbers)
        chance.choice(WRITES)(chance, number)
        if chance.random() < 0.5:
            database.sequence()
        if chance.random() < 0.03:
            positions.begin_epoch()
        if chance.random() < 0.1:
            log.prune()

    def apply(change: Change) -> None:
        if not atomic and chance.random() < 0.2:
            something()  # another process writes meanwhile
        if chance.random() < 0.05:
            raise Killed
        replica.apply(change)
        if not atomic and chance.random() < 0.05:
            raise Killed

    on_change("probe", name=NAME, from_start=True, atomic=atomic)(apply)
    for _ in range(25):
        something()
        runner = Runner(handlers[NAME], lambda: True)
        try:
            for _ in range(chance.randint(1, 4)):
                runner.handle_some()
        except Killed:
            continue
    database.sequence()
    monkeypatch.setattr(chance, "random", lambda: 1.0)
    drain(Runner(handlers[NAME], lambda: True))

    assert replica.rows == source()


@pytest.mark.parametrize("feed", ["probe", "elsewhere"])
def test_a_function_of_a_feed_that_is_off_waits(database, probe, feed, monkeypatch):
    """And begins when the feed is live."""
    replica = Replica()
    on_change(feed, name=NAME)(replica.apply)
    runner = Runner(handlers[NAME], lambda: True)

    with monkeypatch.context() as patch:  # the fixtures that end before monkeypatch need the feeds
        patch.setattr(registry, "_feeds", {})
        passed = drain(runner)

    assert passed > 0
    assert replica.seen == []
