"""Interest: notes decide which topics have entries without rows, but never which rows a reader ends with."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

import pytest

from realtime.boards.models import Entry
from realtime.models import Interest, LogEntry, Process, SecondsNow
from realtime.publishing import interest, log, sequencer
from realtime.runtime.threads import DatabaseThreads
from tests.contract.conftest import Database, Follower

TOPIC = "entries.2"


class Holder(Follower):
    """A process that holds a topic: it reads the topic where an entry has no rows."""

    def follow(self) -> list[LogEntry]:
        missed = log.missed(self.topic.name, "entries", self.topic.position.offset)
        if any(entry.kind not in log.WITH_ROWS for entry in missed.entries):
            self._read()
            return missed.entries
        return super().follow()


@pytest.fixture
def elsewhere(database) -> Iterator[Callable[..., object]]:
    """A function that calls another one on a connection of its own, as another process does, and waits for it."""
    thread = DatabaseThreads("elsewhere", 1)
    yield lambda function, *args: thread.submit(function, *args).result(60)
    thread.close()


class Stops:
    """Sequences once and calls what is to happen before the round, in its snapshot, before it is stored, and after."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self._database, self._monkeypatch = database, monkeypatch

    def sequence(self, calls: list[list[Callable[[], object]]]) -> None:
        before, in_snapshot, before_storing, after = calls
        ask, store = interest.followed, sequencer._store

        def call(some: list[Callable[[], object]]) -> None:
            for function in some:
                function()

        def followed(topics):
            call(in_snapshot)
            return ask(topics)

        def stored(*args):
            call(before_storing)
            return store(*args)

        call(before)
        with self._monkeypatch.context() as patch:
            patch.setattr(interest, "followed", followed)
            patch.setattr(sequencer, "_store", stored)
            self._database.sequence()
        call(after)


def hold(holders: list[Holder]) -> None:
    holders.append(Holder(TOPIC))


def relabel(entry: int, label: str) -> None:
    Entry.objects.filter(pk=entry).update(label=label)


def orders() -> Iterator[list[list[str]]]:
    """Yield in which of the four places of a round a hub notes, then reads, and a writer writes, in every order."""
    for order in itertools.permutations(("note", "read", "write")):
        if order.index("note") < order.index("read"):
            for places in itertools.combinations_with_replacement(range(4), 3):
                steps = list(zip(places, order, strict=True))
                yield [[name for place, name in steps if place == number] for number in range(4)]


def test_no_order_of_note_reading_write_and_round_leaves_a_hub_with_old_rows(
    database, elsewhere, monkeypatch
):
    """A hub notes its topic before it reads it. It needs no entry with rows of a change from before."""
    stops, numbers = Stops(database, monkeypatch), itertools.count()
    tried = 0
    for order in orders():
        Process.objects.all().delete()
        Interest.objects.all().delete()
        process = interest.begin("hub")
        holders: list[Holder] = []
        calls: dict[str, Callable[[], object]] = {
            "note": partial(elsewhere, interest.note, process, {TOPIC: 1}),
            "read": partial(elsewhere, hold, holders),
            "write": partial(elsewhere, relabel, 3, f"write {next(numbers)}"),
        }
        relabel(1, f"before {next(numbers)}")

        stops.sequence([[calls[name] for name in names] for names in order])
        relabel(5, f"after {next(numbers)}")
        while database.sequence() is not None:
            pass

        (holder,) = holders
        followed = holder.follow()
        holder.assert_equals_source()
        assert followed[-1].kind == LogEntry.Kind.CHANGES, f"{order}: the note is not used"
        assert holder.reads == 1, f"{order}: an entry without rows was not in the rows already"
        tried += 1
    assert tried == 60


def expire(process: int) -> None:
    Process.objects.update(seen_at=SecondsNow() - interest.VALID_SECONDS - 1)


def forget(process: int) -> None:
    Process.objects.all().delete()
    Interest.objects.all().delete()


def drop(process: int) -> None:
    interest.note(process, {}, dropped=[TOPIC])


@pytest.mark.parametrize("loss", [expire, forget, drop])
@pytest.mark.parametrize("others", [False, True], ids=["alone", "with another process"])
def test_a_hub_whose_note_is_lost_has_the_same_rows(database, loss, others):
    """They cost it readings, if another process notes what it holds; otherwise every change has its rows."""
    process = interest.begin("hub")
    interest.note(process, {TOPIC: 1})
    holder = Holder(TOPIC)
    loss(process)
    if others or loss is drop:
        interest.begin("another")

    Entry.objects.filter(pk=1).update(label="changed")
    database.sequence()

    (entry,) = holder.follow()
    holder.assert_equals_source()
    is_read = others or loss is drop
    assert entry.kind == (LogEntry.Kind.UNFOLLOWED if is_read else LogEntry.Kind.CHANGES)
    assert holder.reads == 1 + is_read


def test_a_note_that_is_not_committed_does_not_count(database, elsewhere):
    """Its hub has not read the rows either."""
    process = interest.begin("hub")
    with closing(database.connect()) as other:
        other.execute("BEGIN")
        other.execute(
            f"INSERT INTO realtime_interest (process_id, topic, viewers) VALUES ({process}, '{TOPIC}', 1)"
        )
        if database.vendor == "sqlite":
            other.execute("ROLLBACK")  # it would keep the write below waiting
        Entry.objects.filter(pk=1).update(label="changed")
        kinds = {entry.topic: entry.kind for entry in database.sequence().entries}

    assert kinds == {TOPIC: LogEntry.Kind.UNFOLLOWED}


def test_a_row_that_moves_between_held_and_other_topics_is_in_the_right_one(database):
    """It is deleted in the former topic, even if no process holds the topic that it is in now."""
    process = interest.begin("hub")
    interest.note(process, {TOPIC: 1})
    holder = Holder(TOPIC)

    for board in (1, 2, 1):
        Entry.objects.filter(pk=1).update(board=board)
        kinds = {entry.topic: str(entry.kind) for entry in database.sequence().entries}
        assert kinds == {TOPIC: "changes", "entries.1": "unfollowed"}
        holder.follow()
        holder.assert_equals_source()

    assert holder.reads == 1
    Holder("entries.1").assert_equals_source()


def test_a_page_from_before_changes_of_a_topic_without_subscribers_gets_a_snapshot(database):
    """Their entries are the only sign that its rows are old."""
    interest.begin("a process without topics")
    painted = Holder(TOPIC)
    Entry.objects.filter(pk=1).update(label="changed")
    database.sequence()

    fresh = Holder(TOPIC)

    assert fresh.topic.position.offset > painted.topic.position.offset
    assert fresh.topic._changed_at > painted.topic.position.offset


def test_viewers_are_those_of_all_processes_that_live(database):
    """Names once and in order; a process that ended or expired has none, and a topic of thousands is one answer."""
    one, other, dead, ended = (interest.begin(name) for name in ("one", "other", "dead", "ended"))
    for number, viewers, names in (
        (one, 2, ["grace", "ada"]),
        (other, 3, ["ada", "é\u2028<"]),
        (dead, 5, ["x"]),
        (ended, 7, ["y"]),
    ):
        interest.note(number, {TOPIC: viewers, "t": 0}, names={TOPIC: names})
    Process.objects.filter(pk=dead).update(seen_at=SecondsNow() - interest.VALID_SECONDS - 1)
    interest.end(ended)

    found = interest.viewers([TOPIC, "t", *(f"none{number}" for number in range(1000))])

    assert (found.pop(TOPIC), found.pop("t")) == ((5, ("ada", "grace", "é\u2028<")), (0, ()))
    assert set(found.values()) == {interest.Viewers()}
