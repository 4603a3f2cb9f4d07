"""Catching up: thousands of topics that lack something are brought up a few at a time, and a flood creates no work."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from realtime.boards.models import Board, Entry
from realtime.delivery import catch_up, hub, shared_topic, topic_reads
from realtime.engine.position import Position
from realtime.models import LogEntry
from realtime.publishing import log as log_module
from realtime.publishing.positions import read_topic
from tests.conftest import until
from tests.delivery.conftest import Follower, Wire, has_row, reset

BOARDS = 60


class HeldReads:
    """Reads of a feed's topics wait until the test lets them go on; their order is noted."""

    def __init__(self, feed: str) -> None:
        self.go_on, self.feed = threading.Event(), feed
        self.go_on.set()
        self.begun: list[str] = []

    def __call__(self, topic: str, limit: float) -> Any:
        if topic.partition(".")[0] == self.feed:
            self.begun.append(topic)
            assert self.go_on.wait(60)
        return read_topic(topic, limit)


@pytest.fixture
def held_reads(monkeypatch):
    held = HeldReads("entries")
    monkeypatch.setattr(topic_reads, "read_topic", held)
    yield held
    held.go_on.set()


@pytest.fixture
async def boards(quay, in_database) -> list[Board]:
    """Boards without entries."""
    await in_database(
        Board.objects.bulk_create, [Board(slug=f"b{number}", title="b") for number in range(BOARDS)]
    )
    return await in_database(lambda: list(Board.objects.filter(slug__startswith="b").order_by("pk")))


@pytest.fixture
def queries(monkeypatch) -> list[str]:
    """The queries for what topics have missed."""
    asked: list[str] = []
    missed_of = log_module.missed_of

    def counted(feed: str, *args: Any) -> Any:
        asked.append(feed)
        return missed_of(feed, *args)

    monkeypatch.setattr(log_module, "missed_of", counted)
    return asked


async def follow(wire: Wire, boards: list[Board], followers: Callable[[int], int] = lambda number: 1):
    """Follow the topics of the boards, each by some followers; return them all."""
    all_of_them = []
    for number, board in enumerate(boards):
        for _ in range(followers(number)):
            all_of_them.append(await Follower(f"entries.{board.pk}").follow(wire.hub))
    await wire.settle()
    return all_of_them


async def test_after_a_reset_the_topics_with_the_most_subscribers_are_read_first(slow, boards, held_reads):
    """So the topics of most pages are current first."""
    slow.reads._share = 1  # two threads could note their topics in another order than they were given them
    await follow(slow, boards[:40], lambda number: 2 if number >= 20 else 1)
    held_reads.begun.clear()

    await slow.write(reset)
    await slow.settle()

    first = {f"entries.{board.pk}" for board in boards[20:40]}
    assert len(held_reads.begun) == 40
    assert set(held_reads.begun[:20]) == first


async def test_a_reset_of_many_topics_takes_up_a_few_of_them_at_a_time(slow, boards, held_reads, quay):
    """Meanwhile the log's tail is read, rights are answered, and a topic of another feed is brought up."""
    followers = await follow(slow, boards)
    other = await Follower("boards").follow(slow.hub)
    await slow.settle()
    held_reads.go_on.clear()
    held_reads.begun.clear()
    await slow.write(reset)
    looks = slow.hub.looks
    slow.hub.look_soon()
    await until(lambda: held_reads.begun and slow.hub.looks > looks)

    await slow.write(lambda: Board.objects.create(slug="meanwhile", title="Meanwhile", is_public=True))
    slow.hub.look_soon()
    await until(lambda: any(b"Meanwhile" in row for _, row in other.replica.rows.values()))
    await slow.hub.rights.check(other.visitor, "boards")

    refreshing = [name for name in slow.hub._shared if slow.hub._shared[name].is_reading]
    assert len(held_reads.begun) <= 2  # half of the threads; one, if the feed was slow on a slow machine
    assert len(refreshing) <= catch_up.AT_ONCE
    held_reads.go_on.set()
    await slow.settle()
    assert len(held_reads.begun) == BOARDS
    assert all([await slow.is_current(follower) for follower in followers])


class Unrefreshable:
    """A topic that fails in a way that it does not handle."""

    feed, name, subscribers = "entries", "entries.1", frozenset[Any]()
    is_refreshing = False

    def __init__(self, asked: list[Any]) -> None:
        self._asked = asked

    async def refresh(self, epoch: str) -> float:
        self._asked.append(self)
        raise RuntimeError("broken")


async def test_a_topic_that_fails_gives_its_turn_back():
    """However many fail, each of the others of its feed has its turn."""
    asked: list[Any] = []
    tasks: list[asyncio.Task[None]] = []
    topics: list[Any] = [Unrefreshable(asked) for _ in range(3 * catch_up.AT_ONCE)]

    catch_up.CatchUp(lambda work: tasks.append(asyncio.create_task(work))).add(topics, "e")

    await until(lambda: len(asked) == len(topics))
    await asyncio.gather(*tasks)


async def test_topics_that_change_again_while_they_wait_are_read_once(slow, boards, held_reads):
    """An overload must not create work."""
    await follow(slow, boards)
    held_reads.go_on.clear()
    held_reads.begun.clear()
    for _ in range(4):
        await slow.write(reset)
        looks = slow.hub.looks
        slow.hub.look_soon()
        await until(lambda looks=looks: slow.hub.looks > looks)
    await until(lambda: held_reads.begun)

    held_reads.go_on.set()
    await slow.settle()

    read = Counter(held_reads.begun)
    assert len(read) == BOARDS
    assert sum(read.values()) <= BOARDS + catch_up.AT_ONCE


async def test_one_reset_of_a_feed_needs_no_query_for_each_topic(slow, boards, queries):
    """The topics that have their turn together ask together, and of a feed that was reset only for its own entries."""
    await follow(slow, boards)
    queries.clear()

    await slow.write(reset)
    await slow.settle()

    assert 0 < len(queries) <= BOARDS / (catch_up.AT_ONCE // 2)


async def test_topics_that_have_missed_changes_ask_for_them_together(slow, boards, queries, readings):
    """Each applies its own entries, exactly; none is read."""
    followers = await follow(slow, boards)
    queries.clear()
    readings.clear()

    for label in ("first", "second"):
        await slow.write(
            lambda label=label: [
                Entry.objects.create(board=board, label=f"{label} {board.pk}") for board in boards
            ]
        )
    await slow.write(Entry.objects.filter(board=boards[0], label__startswith="first").delete)
    await slow.settle()

    assert 0 < len(queries) <= 2 * BOARDS / (catch_up.AT_ONCE // 2)
    assert readings == []
    assert all([await slow.is_current(follower) for follower in followers])
    assert all(has_row(one, f"second {board.pk}")() for one, board in zip(followers, boards, strict=True))


async def test_of_a_reset_and_changes_each_topic_gets_what_it_needs(slow, boards, in_database, readings):
    """Some topics are from after the reset, some from before; some entries are of another release, or were pruned."""
    old = await follow(slow, boards[:20])
    await slow.write(reset)
    new = await follow(slow, boards[20:40])
    readings.clear()
    for followers in (old, new):
        for follower in followers:
            slow.hub._shared[follower.replica.topic].is_stale = True

    def write() -> None:
        for board in boards[:40]:
            Entry.objects.create(board=board, label="new")

    batch = await slow.write(write)
    foreign = new[3].replica.topic
    await in_database(
        LogEntry.objects.filter(topic=foreign, position=batch.end).update, fingerprint="another", payload="[]"
    )
    await slow.settle()

    assert readings.count(foreign) == 1
    assert not {follower.replica.topic for follower in new[4:]} & set(readings)
    assert all([await slow.is_current(follower) for follower in (*old, *new)])


@pytest.mark.parametrize(
    "write", [reset, lambda: Board.objects.first().entries.update(label="x")], ids=["reset", "x"]
)
async def test_a_topic_without_subscribers_is_not_read_again(slow, quay, topic, readings, write):
    """It is read for its next subscriber, if the log does not suffice to bring it up to date."""
    follower = await Follower(topic).follow(slow.hub)
    slow.hub.unsubscribe(topic, follower)
    await slow.settle()
    readings.clear()

    await slow.write(lambda: (quay.entries.create(label="unseen"), write()))
    await slow.settle()
    await slow.send(await slow.write(quay.entries.create, label="unseen too"))
    await slow.settle()

    assert readings == []
    late = await Follower(topic).follow(slow.hub)
    await until(has_row(late, "unseen too"))
    await slow.settle()
    assert await slow.is_current(late)
    assert readings in ([topic], [])
    await slow.send(await slow.write(quay.entries.create, label="seen"))
    await until(has_row(late, "seen"))


async def test_a_page_that_returns_to_a_topic_which_was_not_read_gets_what_it_missed(
    slow, quay, topic, readings
):
    """Not a snapshot: the rows from before are kept."""
    follower = await Follower(topic).follow(slow.hub)
    slow.hub.unsubscribe(topic, follower)
    follower.session.unsubscribe(topic)
    await slow.write(lambda: (quay.entries.create(label="meanwhile"), reset()))
    await slow.settle()

    await follower.follow(slow.hub)

    await until(has_row(follower, "meanwhile"))
    assert follower.replica.snapshots == 1
    assert await slow.is_current(follower)


async def test_topics_are_compared_with_the_log_in_steps_and_each_gets_what_the_layer_has_lost(
    slow, boards, in_database, monkeypatch
):
    """With 20,000 topics a look kept the event loop for 37 ms, every second. Topics come and go between the steps."""
    monkeypatch.setattr(hub, "COMPARED_AT_ONCE", 7)
    steps: list[int] = []  # the turn of the loop in which each topic was compared
    turns = 0
    compare = shared_topic.SharedTopic.compare

    def count() -> None:
        nonlocal turns
        turns += 1
        counting[0] = asyncio.get_running_loop().call_soon(count)

    def compared(self, *args: Any) -> None:
        steps.append(turns)
        compare(self, *args)

    monkeypatch.setattr(shared_topic.SharedTopic, "compare", compared)
    left, *followers = await follow(slow, boards[:-1])
    await slow.settle()
    for board in boards:
        await in_database(board.entries.create, label="lost on the way")
    await slow.write(boards[0].entries.create, label="too")
    steps.clear()
    counting = [asyncio.get_running_loop().call_soon(count)]

    slow.hub.look_soon()
    await until(lambda: bool(steps))
    del slow.hub._shared[left.replica.topic]
    followers += await follow(slow, boards[-1:])
    for follower in followers:
        await until(has_row(follower, "lost on the way"))

    counting[0].cancel()
    assert max(Counter(steps).values()) <= 7
    assert all([await slow.is_current(follower) for follower in followers])


# ---------------------------------------------------------------- what a look costs


@pytest.fixture
def compared(monkeypatch) -> list[str]:
    """The topics that looks have compared with the log's tail."""
    names: list[str] = []
    compare = shared_topic.SharedTopic.compare

    def noting(shared: shared_topic.SharedTopic, *args: Any) -> None:
        names.append(shared.name)
        compare(shared, *args)

    monkeypatch.setattr(shared_topic.SharedTopic, "compare", noting)
    return names


async def test_a_look_compares_the_topics_that_have_changed_and_no_others(slow, boards, compared):
    """However many topics the process holds, a look costs what the log has of them."""
    followers = await follow(slow, boards)
    await slow._in_database(slow._log.sequence)  # the boards themselves
    await slow.settle()
    await slow.settle()
    compared.clear()

    await slow.hub._look()
    assert compared == []

    await slow.write(Entry.objects.create, board=boards[7], label="new")
    await slow.settle()
    assert set(compared) == {f"entries.{boards[7].pk}"}
    assert await slow.is_current(followers[7])

    await slow.write(reset)
    compared.clear()
    await slow.settle()
    assert set(compared) == {f"entries.{board.pk}" for board in boards}


async def test_topics_that_wait_to_catch_up_are_not_compared_with_each_look(
    slow, boards, held_reads, compared
):
    """Thousands may wait after a reset, while each change of another feed causes a look."""
    followers = await follow(slow, boards)
    await slow._in_database(slow._log.sequence)  # the boards themselves
    await slow.settle()
    held_reads.go_on.clear()
    held_reads.begun.clear()
    await slow.write(reset)
    await slow.hub._look()
    await until(lambda: held_reads.begun)
    await slow.write(reset)  # again: they are marked anew while they wait
    await slow.hub._look()
    compared.clear()

    await slow.hub._look()

    assert compared == []
    held_reads.go_on.set()
    await slow.settle()
    assert all([await slow.is_current(follower) for follower in followers])


async def test_topics_are_all_read_again_when_the_database_went_back(
    slow, boards, compared, readings, monkeypatch
):
    """Also those that have been settled for long: each has a position that the database no longer has."""
    followers = await follow(slow, boards[:3])
    await slow.settle()
    compared.clear()
    readings.clear()
    position = followers[0].replica.position
    slow.hub._announced_to = Position(position.epoch, 0)  # an older log, which goes on from here
    tail = log_module.tail
    monkeypatch.setattr(
        log_module, "tail", lambda after: replace(tail(after), newest={}, offset=position.offset - 1)
    )

    await slow.hub._look()

    assert len(compared) == 3
    await until(lambda: len(readings) == 3)
