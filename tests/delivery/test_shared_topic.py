"""A shared topic: read once for all, kept current from messages and the log, and notified in small groups."""

import asyncio
import threading
from collections import Counter
from functools import reduce
from operator import xor
from typing import Any

import pytest
from django.db import OperationalError

from realtime.boards.models import Board, Entry
from realtime.delivery import shared_topic, topic_reads
from realtime.engine.messages import (
    Error,
    Heartbeat,
    delete,
    encode_changes,
)
from realtime.engine.replacement import Replacement
from realtime.engine.topic import Topic
from realtime.models import FeedRelease, LogEntry, OutboxRow
from realtime.publishing import log as log_module
from realtime.publishing import positions, releases
from realtime.publishing.positions import read_topic
from realtime.publishing.sequencer import Batch
from tests.conftest import until
from tests.delivery.conftest import Broken, FailsOnce, Follower, Wire, has_row, last_heartbeat

# ---------------------------------------------------------------- entries of another release


def of_another_release(batch: Batch) -> Batch:
    """Make the entries those of a release that makes other rows, in the batch and in the log."""
    changed = encode_changes([delete("1"), delete("2"), delete("3")])
    for entry in batch.entries:
        entry.fingerprint, entry.payload = "another release!", changed
        LogEntry.objects.filter(topic=entry.topic, position=entry.position).update(
            fingerprint=entry.fingerprint, payload=changed
        )
    return batch


@pytest.mark.parametrize("is_sent", [True, False], ids=["from the layer", "from the log"])
async def test_an_entry_of_another_release_is_not_applied(slow, quay, topic, readings, in_database, is_sent):
    """Its rows are not those that this release would make, and its filter may be another: the topic is read."""
    follower = await Follower(topic).follow(slow.hub)
    batch = await in_database(of_another_release, await slow.write(quay.entries.create, label="new"))

    if is_sent:
        await slow.send(batch)
    await slow.settle()

    await until(has_row(follower, "new"))
    assert len(follower.replica.rows) == 3
    assert readings == [topic, topic]
    assert await slow.is_current(follower)


async def test_entries_of_this_release_are_applied_after_one_of_another(
    slow, quay, topic, readings, in_database
):
    """Without a further read."""
    follower = await Follower(topic).follow(slow.hub)
    await in_database(of_another_release, await slow.write(quay.entries.create, label="theirs"))
    await slow.settle()

    await slow.send(await slow.write(quay.entries.create, label="ours"))

    await until(has_row(follower, "ours"))
    assert readings == [topic, topic]
    assert await slow.is_current(follower)


async def test_a_reset_that_is_meant_for_other_releases_is_ignored(slow, quay, topic, readings, in_database):
    """A change was in topics of another release, which this one does not have; the next change follows."""
    await in_database(releases.announce)
    await in_database(FeedRelease.objects.create, feed="entries", fingerprint="another release!")
    follower = await Follower(topic).follow(slow.hub)

    for label in ("first", "second"):
        batch = await slow.write(quay.entries.create, label=label)
        assert "entries" in {entry.topic for entry in batch.entries}
        await slow.send(batch)
        await slow.settle()

    await until(has_row(follower, "second"))
    assert readings == [topic]
    assert await slow.is_current(follower)


# ---------------------------------------------------------------- the first read


async def test_fifty_simultaneous_subscribers_cause_one_read(slow, topic, readings):
    """A restarted server must not query its database once per page."""
    followers = await asyncio.gather(*(Follower(topic).follow(slow.hub) for _ in range(50)))

    assert readings == [topic]
    assert {len(follower.replica.rows) for follower in followers} == {2}


async def test_a_later_subscriber_causes_no_read(slow, topic, readings, quay):
    """The topic is in memory, and current."""
    await Follower(topic).follow(slow.hub)
    await slow.send(await slow.write(quay.entries.create, label="between"))
    await until(lambda: slow.hub._shared[topic].topic.position.offset > 0)

    late = await Follower(topic).follow(slow.hub)
    await until(has_row(late, "between"))

    assert readings == [topic]


@pytest.mark.parametrize("is_sent", [True, False], ids=["and sent", "and lost by the layer"])
async def test_a_change_during_the_first_read_is_not_lost(slow, quay, topic, paused_read, is_sent):
    """It was committed, sequenced and seen in the log's tail while the rows were being read; it still arrives."""
    slow.hub.connect(Follower("boards"))
    await slow.settle()
    follower = Follower(topic)
    following = asyncio.create_task(follower.follow(slow.hub))
    await asyncio.to_thread(paused_read.has_read.wait, 10)
    batch = await slow.write(quay.entries.create, label="meanwhile")
    if is_sent:
        await slow.send(batch)
    await slow.settle()

    paused_read.go_on.set()
    await following
    slow.hub.look_soon()

    await until(has_row(follower, "meanwhile"), 3)


async def test_a_topic_that_cannot_be_read_is_refused(slow, topic, monkeypatch):
    """The first subscriber gets the error and is not registered; the next one tries again."""

    def fail(topic: str, limit: float):
        raise RuntimeError("broken")

    with monkeypatch.context() as broken:
        broken.setattr(topic_reads, "read_topic", fail)
        with pytest.raises(RuntimeError):
            await Follower(topic).follow(slow.hub)
        assert not slow.hub._shared[topic].subscribers

    assert len((await Follower(topic).follow(slow.hub)).replica.rows) == 2


async def test_a_subscribe_cancelled_while_reading_leaves_no_subscriber(slow, topic, paused_read):
    """The topic may be dropped again."""
    following = asyncio.create_task(Follower(topic).follow(slow.hub))
    await asyncio.to_thread(paused_read.has_read.wait, 10)

    following.cancel()
    await asyncio.gather(following, return_exceptions=True)

    assert not slow.hub._shared[topic].subscribers
    paused_read.go_on.set()


# ---------------------------------------------------------------- keeping current


async def test_a_gap_is_filled_from_the_log(slow, quay, topic):
    """A message is not applied while its predecessor is missing."""
    follower = await Follower(topic).follow(slow.hub)
    await slow.write(quay.entries.create, label="first")
    second = await slow.write(quay.entries.create, label="second")

    await slow.send(second)
    await until(has_row(follower, "second"))

    assert has_row(follower, "first")()
    assert follower.replica.position.offset == second.end


async def test_a_repeated_change_is_sent_once(slow, quay, topic):
    """Whether it arrives repeatedly by the layer, or by the layer and the log."""
    follower = await Follower(topic).follow(slow.hub)
    before = len(follower.received)
    batch = await slow.write(quay.entries.create, label="once")

    for _ in range(3):
        await slow.send(batch)
    await until(has_row(follower, "once"))
    await slow.settle()

    assert len(follower.received) == before + 1


async def test_after_a_reset_the_rows_are_read_again(slow, quay, topic):
    """Subscribers get the differences, not a snapshot."""
    follower = await Follower(topic).follow(slow.hub)

    def write() -> None:
        quay.entries.filter(label="Saltmere").update(label="Saltmere Ferry")
        OutboxRow.objects.create(source="boards_entry", image=None)

    await slow.write(write)
    slow.hub.look_soon()
    await until(has_row(follower, "Saltmere Ferry"))

    assert await slow.is_current(follower)
    assert len(follower.received[-1].changes) == 1
    assert follower.replica.snapshots == 1


async def test_fifty_subscribers_that_missed_a_change_cause_one_query(slow, quay, topic, monkeypatch):
    """The cost of reading the log does not grow with the number of connections."""
    queries: list[str] = []
    missed = log_module.missed

    def counted(topic, *args):
        queries.append(topic)
        return missed(topic, *args)

    monkeypatch.setattr(log_module, "missed", counted)
    followers = [await Follower(topic).follow(slow.hub) for _ in range(50)]
    await slow.settle()
    queries.clear()

    await slow.write(quay.entries.create, label="lost on the way")
    await slow.settle()

    assert queries == [topic]
    assert all(has_row(follower, "lost on the way")() for follower in followers)


async def test_a_tail_older_than_the_topic_causes_no_read(slow, quay, topic, readings, monkeypatch):
    """On a busy server changes arrive by the layer while the tail is being read; the database has not gone back."""
    follower = await Follower(topic).follow(slow.hub)
    await slow.settle()
    has_read, go_on = threading.Event(), threading.Event()
    tail = log_module.tail

    def read_and_wait(after: int) -> log_module.Tail:
        found = tail(after)
        has_read.set()
        assert go_on.wait(20)
        return found

    monkeypatch.setattr(log_module, "tail", read_and_wait)
    slow.hub.look_soon()
    await asyncio.to_thread(has_read.wait, 10)
    slow.hub.is_looking = False  # the write is not to wait for this look
    await slow.send(await slow.write(quay.entries.create, label="quicker"))
    await until(has_row(follower, "quicker"))

    go_on.set()
    await slow.settle()

    assert readings == [topic]


async def test_after_pruning_the_rows_are_read_again(slow, quay, topic, settings):
    """A hub that is further behind than the log reaches still becomes current."""
    settings.REALTIME = {"LOG_RETENTION_SECONDS": -1}
    follower = await Follower(topic).follow(slow.hub)
    await slow.settle()
    await slow.write(quay.entries.filter(label="Saltmere").delete)
    await slow._in_database(log_module.prune)

    await slow.send(await slow.write(quay.entries.create, label="after the gap"))
    await until(has_row(follower, "after the gap"))
    await slow.settle()

    assert await slow.is_current(follower)


# ---------------------------------------------------------------- failures


def errors_of(follower: Follower) -> list[Error]:
    return [message for message in follower.received if isinstance(message, Error)]


@pytest.mark.parametrize(
    "error", [RuntimeError("broken"), OperationalError("no such column: x")], ids=["Python", "SQL"]
)
async def test_a_failing_feed_does_not_affect_others(
    quick, quay, topic, live, in_database, monkeypatch, error
):
    """Its subscribers get one error; other topics stay current; it recovers when the feed works again."""
    feed = await in_database(live, Entry, name="aaa_broken", fields=["label"])
    broken = await Follower("aaa_broken").follow(quick.hub)
    sound = await Follower(topic).follow(quick.hub)
    await quick.settle()
    broken_for_now = Broken(error)
    monkeypatch.setattr(feed, "get_queryset", broken_for_now.wrap(feed.get_queryset))

    await quick.write(quay.entries.create, label="during it")
    await until(has_row(sound, "during it"))
    await quick.write(quay.entries.create, label="still during it")
    await until(has_row(sound, "still during it"))
    await until(lambda: errors_of(broken))

    broken_for_now.error = None
    await until(has_row(broken, "still during it"))
    assert [(error_message.code, error_message.topic) for error_message in errors_of(broken)] == [
        (4500, "aaa_broken")
    ]


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("broken"),
        OperationalError("timeout"),
        MemoryError(),
        RecursionError(),
        UnicodeError("bytes"),
    ],
    ids=repr,
)
async def test_a_topic_that_cannot_be_read_is_not_vouched_for(
    quick, quay, live, in_database, monkeypatch, error
):
    """Heartbeats leave it out until it can be read; a page that subscribes meanwhile is told, and answered then."""
    feed = await in_database(live, Entry, name="aaa_broken", fields=["label"])
    follower = await Follower("aaa_broken").follow(quick.hub)
    await quick.settle()
    assert last_heartbeat(follower).digests.keys() == {"aaa_broken"}
    broken = Broken(error)
    monkeypatch.setattr(feed, "get_queryset", broken.wrap(feed.get_queryset))
    topic = quick.hub._shared["aaa_broken"].topic

    await quick.write(OutboxRow.objects.create, source="boards_entry", image=None)
    await until(lambda: not topic.is_readable)

    assert last_heartbeat(follower) == Heartbeat({})
    late = await Follower("aaa_broken").follow(quick.hub)
    assert late.received == []
    broken.error = None
    await until(lambda: topic.is_readable)
    await until(lambda: late.replica.snapshots)
    assert last_heartbeat(follower).digests == {"aaa_broken": topic.digest("rows")}


async def test_a_read_that_takes_long_ends_the_vouching_before_it_fails(
    quick, quay, topic, monkeypatch, paused_read
):
    """And holds up neither other topics nor the log's tail."""
    monkeypatch.setattr(shared_topic, "LATE_SECONDS", 0.0)
    paused_read.go_on.set()
    slow = await Follower(topic).follow(quick.hub)
    sound = await Follower("boards").follow(quick.hub)
    paused_read.go_on.clear()

    def write() -> None:
        OutboxRow.objects.create(source="boards_entry", image=None)

    await quick.write(write)
    shared = quick.hub._shared[topic].topic
    await until(lambda: not shared.is_readable)
    await quick.write(lambda: Board.objects.create(slug="meanwhile", title="Meanwhile", is_public=True))
    await until(lambda: any(b"Meanwhile" in row for _, row in sound.replica.rows.values()))
    assert last_heartbeat(slow).positions == {}

    paused_read.go_on.set()
    await until(lambda: shared.is_readable)
    assert last_heartbeat(slow).positions.keys() == {topic}


async def test_a_failing_topic_is_not_read_at_every_look(quick, quay, topic, monkeypatch):
    """The pauses between attempts grow; a success ends them."""
    await Follower(topic).follow(quick.hub)
    attempts: list[str] = []

    def fail(topic: str, limit: float) -> None:
        attempts.append(topic)
        raise RuntimeError("broken")

    monkeypatch.setattr(topic_reads, "read_topic", fail)
    await quick.write(OutboxRow.objects.create, source="boards_entry", image=None)
    await until(lambda: len(attempts) == 2)
    looks = quick.hub.looks
    await until(lambda: quick.hub.looks > looks + 5)

    assert len(attempts) <= 3


async def test_a_database_error_at_a_new_epoch_loses_nothing(slow, quay, topic, monkeypatch):
    """Reading the rows is tried again until it succeeds."""
    follower = await Follower(topic).follow(slow.hub)
    await slow.settle()
    unreadable = FailsOnce(read_topic, OperationalError("disk I/O error"))
    monkeypatch.setattr(topic_reads, "read_topic", unreadable)
    await slow._in_database(positions.begin_epoch)
    slow.hub.look_soon()
    await until(lambda: unreadable.has_failed)
    slow.hub.look_soon()

    await until(lambda: follower.replica.snapshots == 2, 3)


class Unpostable(Follower):
    def post(self, message: Any) -> None:
        raise RuntimeError("a broken connection")


async def test_a_connection_that_cannot_be_told_of_a_failure_keeps_no_topic_from_recovering(
    quick, quay, topic, monkeypatch
):
    """The others are told, and the topic is read again."""
    for _ in range(3):
        await Unpostable(topic).follow(quick.hub)
    sound = await Follower(topic).follow(quick.hub)
    broken = Broken(RuntimeError("broken"))
    monkeypatch.setattr(quick.reads, "missed", broken.wrap(quick.reads.missed))

    await quick.write(quay.entries.create, label="meanwhile")
    await until(lambda: errors_of(sound))
    broken.error = None

    await until(has_row(sound, "meanwhile"))


async def test_many_topics_that_are_behind_leave_reader_threads_to_others(
    slow, live, quay, in_database, monkeypatch
):
    """As after the reset of a feed; subscribers, rights and the look at the log's tail need the same threads."""
    looking, go_on = Counter[str](), threading.Event()

    def held(name: str, *arguments: Any) -> Any:
        looking[name.partition(".")[0]] += 1
        assert go_on.wait(60)
        return missed(name, *arguments)

    missed = log_module.missed
    for feed in ("others", "thirds"):
        await in_database(live, Entry, name=feed, topic_field="board_id", fields=["label"])
    boards = [await in_database(Board.objects.create, slug=f"b{number}", title="b") for number in range(8)]
    names = [f"{feed}.{board.pk}" for feed in ("entries", "others", "thirds") for board in boards]
    followers = [await Follower(name).follow(slow.hub) for name in names]
    monkeypatch.setattr(log_module, "missed", held)
    await slow.write(OutboxRow.objects.create, source="boards_entry", image=None)
    slow.hub.look_soon()
    await until(lambda: looking.total() == topic_reads.CATCHING_UP)

    assert await asyncio.wait_for(slow.reader_threads.run(lambda: "free"), 60) == "free"
    assert list(looking.values()) == [1, 1]

    go_on.set()
    await slow.settle()
    assert all([await slow.is_current(follower) for follower in followers])


# ---------------------------------------------------------------- large topics


@pytest.fixture
async def large(quay, in_database) -> list[Entry]:
    """Six hundred more entries, sequenced with the board's first change."""

    def create() -> list[Entry]:
        return Entry.objects.bulk_create(
            [Entry(board=quay, label=f"l{number}", position=number) for number in range(600)]
        )

    return await in_database(create)


@pytest.fixture
def compared_in(monkeypatch) -> list[str]:
    """The names of the threads in which the rows of a topic were compared with new ones."""
    names: list[str] = []
    compared = Topic.compared

    def noted(topic: Topic, rows: Any, *formats) -> Replacement:
        names.append(threading.current_thread().name)
        return compared(topic, rows, *formats)

    monkeypatch.setattr(Topic, "compared", noted)
    return names


async def read_again(wire: Wire, topic: str, quay: Board) -> None:
    await wire.write(OutboxRow.objects.create, source="boards_entry", image=None)
    await wire.settle()


async def read_empty(wire: Wire, topic: str, quay: Board) -> None:
    await wire.write(lambda: (quay.entries.all().delete(), OutboxRow.objects.create(source="boards_entry")))
    await wire.settle()


async def scrubbed(wire: Wire, topic: str, quay: Board) -> None:
    await wire.hub._shared[topic].scrub(wire.hub._log_reached(), is_expected=True)


@pytest.mark.parametrize("work", [read_again, read_empty, scrubbed])
async def test_many_rows_are_compared_in_a_thread(slow, topic, quay, large, work, compared_in):
    """10,000 rows would keep the event loop for 46 ms, 50,000 for 155."""
    follower = await Follower(topic).follow(slow.hub)
    await slow.settle()

    await work(slow, topic, quay)

    assert len(compared_in) > 1  # with the first read
    assert all(name.startswith("test-reader") for name in compared_in)
    assert await slow.is_current(follower)


async def test_few_rows_are_compared_at_once(slow, topic, quay, compared_in):
    """A thread would take longer than they do."""
    await Follower(topic).follow(slow.hub)

    assert compared_in == [threading.current_thread().name]


async def test_what_happens_while_rows_are_compared_is_not_lost(slow, topic, quay, large, monkeypatch):
    """A change arrives, a subscriber joins, a heartbeat asks for a digest: each is answered exactly."""
    first = await Follower(topic).follow(slow.hub)
    await slow.settle()
    shared = slow.hub._shared[topic]
    compared, has_begun, go_on = Topic.compared, threading.Event(), threading.Event()

    def held(topic: Topic, rows: Any, *formats) -> Replacement:
        new = compared(topic, rows, *formats)
        has_begun.set()
        assert go_on.wait(60)
        return new

    monkeypatch.setattr(Topic, "compared", held)
    await slow.write(
        lambda: (quay.entries.update(label="x"), OutboxRow.objects.create(source="boards_entry"))
    )
    slow.hub.look_soon()
    assert await asyncio.to_thread(has_begun.wait, 60)

    batch = await slow.write(quay.entries.create, label="meanwhile")
    await slow.send(batch)
    second = await Follower(topic).follow(slow.hub)
    second.pulse()
    shared.topic.digest("html")
    go_on.set()
    await until(has_row(first, "meanwhile"))
    await until(has_row(second, "meanwhile"))
    await slow.settle()

    assert await slow.is_current(first)
    assert await slow.is_current(second)
    fresh = await slow._in_database(read_topic, topic)
    for format in ("rows", "html"):
        assert shared.topic.digest(format) == reduce(xor, (row.digest_in(format) for row in fresh.rows))


async def test_other_tasks_run_between_entries_that_were_missed(slow, topic, quay, monkeypatch):
    """They may be hundreds of thousands of rows."""
    follower = await Follower(topic).follow(slow.hub)
    await slow.settle()
    for number in range(20):
        await slow.write(quay.entries.create, label=f"number {number}")
    shared = slow.hub._shared[topic]
    offsets: list[int] = []
    ended = asyncio.Event()

    async def watch() -> None:
        while not ended.is_set():
            offsets.append(shared.topic.position.offset)
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    await slow.settle()
    ended.set()
    await watching

    assert len(set(offsets)) >= 20
    assert await slow.is_current(follower)
