"""Topic reads: each feed has its share of the threads, and what one feed does delays no other."""

import asyncio
import threading
import time
from collections import Counter
from typing import Any

import pytest
from django.db import OperationalError, connection

from realtime.access.visitors import ANONYMOUS
from realtime.boards.models import Board, Entry
from realtime.conf import get_conf
from realtime.delivery import topic_reads
from realtime.delivery.topic_reads import TopicReads
from realtime.feeds import Feed
from realtime.publishing.budget import Budget
from realtime.publishing.positions import read_topic
from realtime.runtime import cpu_time
from realtime.runtime.threads import DatabaseThreads, close_all
from tests.apps.stuck.queries import ENDLESS
from tests.conftest import until


class Gate:
    """Reads of topics that begin with "held" wait until the gate is opened."""

    def __init__(self) -> None:
        self.is_open = threading.Event()
        self.reading: Counter[str] = Counter()

    def read(self, topic: str, limit: float) -> Any:
        feed = topic.partition(".")[0]
        if not feed.startswith("held"):
            return read_topic(topic, limit)
        self.reading[feed] += 1
        assert self.is_open.wait(30)
        self.reading[feed] -= 1
        return topic


@pytest.fixture
def gate(monkeypatch, live):
    gate = Gate()
    for name in ("held", "held_too", "held_again"):
        live(Entry, name=name, topic_field="board_id")
    monkeypatch.setattr(topic_reads, "read_topic", gate.read)
    yield gate
    gate.is_open.set()


@pytest.fixture
async def reads():
    threads = DatabaseThreads("test-topic", 4)
    yield TopicReads(threads, 4)
    await close_all(threads)


def start(reads: TopicReads, feed: str, count: int) -> list[asyncio.Task]:
    return [asyncio.create_task(reads.read(f"{feed}.{number}")) for number in range(count)]


async def test_one_feed_holds_at_most_half_of_the_threads(reads, gate, quay):
    """The other half reads what others ask for."""
    held = start(reads, "held", 8)
    await until(lambda: gate.reading["held"] == 2)

    reading = await reads.read(f"entries.{quay.pk}")

    assert len(reading.rows) == 2
    assert gate.reading["held"] == 2
    gate.is_open.set()
    assert len(await asyncio.gather(*held)) == 8


async def test_slow_feeds_share_one_thread(reads, gate, quay, monkeypatch, lines):
    """From the first read that takes long, also for reads that already wait, until one is quick."""
    gate.is_open.set()
    with monkeypatch.context() as hasty:
        hasty.setattr(topic_reads, "SLOW_SECONDS", -1.0)
        for feed in ("held", "held_too", "held_again"):
            await reads.read(f"{feed}.0")
    gate.is_open.clear()
    monkeypatch.setattr(topic_reads, "SLOW_SECONDS", 1000.0)

    held = [task for feed in ("held", "held_too", "held_again") for task in start(reads, feed, 4)]
    await until(lambda: gate.reading.total() == 1)
    await reads.read(f"entries.{quay.pk}")

    assert gate.reading.total() == 1
    assert len([line for line in lines() if "is slow" in line]) == 3
    assert reads.slow.keys() == {"held", "held_too", "held_again"}
    gate.is_open.set()
    await asyncio.gather(*held)
    assert not reads.slow


async def test_feeds_whose_speed_is_not_known_leave_one_thread(reads, gate, quay):
    """However many they are: each may be slow. A feed is known by its first read."""
    await reads.read(f"entries.{quay.pk}")
    held = [task for feed in ("held", "held_too", "held_again") for task in start(reads, feed, 4)]
    await until(lambda: gate.reading.total() == 3)

    reading = await reads.read(f"entries.{quay.pk}")

    assert len(reading.rows) == 2
    assert gate.reading.total() == 3
    gate.is_open.set()
    await asyncio.gather(*held)


async def test_waiting_for_a_core_makes_no_feed_slow(reads, gate, monkeypatch):
    """The machine was busy. A read that fails for lack of time does: it may be endless."""
    gate.is_open.set()
    totals = iter(range(0, 10_000, 1000))
    ending = Ending(TimeoutError("rendering"))
    monkeypatch.setattr(topic_reads, "SLOW_SECONDS", -1.0)
    monkeypatch.setattr(topic_reads, "FIRST_SECONDS", 0.1)
    monkeypatch.setattr(cpu_time, "waited", lambda: next(totals))

    await reads.read("held.0")
    is_slow = bool(reads.slow)
    monkeypatch.setattr(topic_reads, "read_topic", ending.read)
    await reads.read("held.0")

    assert not is_slow
    assert ending.limits == [0.1, get_conf().read_seconds]


async def test_a_feed_is_quick_again_after_its_second_quick_read(reads, gate, monkeypatch):
    """Until then nothing is known of it: its topics may be quick and slow by turns."""
    gate.is_open.set()
    with monkeypatch.context() as hasty:
        hasty.setattr(topic_reads, "SLOW_SECONDS", -1.0)
        await reads.read("held.0")
    monkeypatch.setattr(topic_reads, "SLOW_SECONDS", 1000.0)
    await reads.read("held.0")
    gate.is_open.clear()
    held = [*start(reads, "held", 4), *start(reads, "held_too", 4)]
    await until(lambda: gate.reading.total() == 3)

    gate.is_open.set()
    await asyncio.gather(*held)
    gate.is_open.clear()

    held = [*start(reads, "held", 4), *start(reads, "held_too", 4)]
    await until(lambda: gate.reading == {"held": 2, "held_too": 2})
    gate.is_open.set()
    await asyncio.gather(*held)


class Ending:
    """Reads topics with the time limits that it notes; each of a feed has to be read twice, the first time in vain."""

    def __init__(self, error: Exception) -> None:
        self.error, self.limits = error, list[float]()

    def read(self, topic: str, limit: float) -> str:
        self.limits.append(limit)
        if len(self.limits) == 1:
            begun = time.monotonic()
            while time.monotonic() - begun < limit:
                time.sleep(limit / 10)
            raise self.error
        return topic


@pytest.mark.parametrize("error", [TimeoutError("rendering"), OperationalError("canceled")], ids=repr)
async def test_a_feed_that_turns_slow_is_read_again_in_the_share_of_the_slow(
    reads, live, log, in_database, monkeypatch, error, settings
):
    """After the first seconds, with all of ``READ_SECONDS``, while no other feed has to wait for it."""
    settings.REALTIME = {"READ_SECONDS": 60}
    monkeypatch.setattr(topic_reads, "SLOW_SECONDS", 0.05)
    monkeypatch.setattr(topic_reads, "FIRST_SECONDS", 0.1)
    ending = Ending(error)
    monkeypatch.setattr(topic_reads, "read_topic", ending.read)

    assert await reads.read("boards") == "boards"

    assert ending.limits == [0.1, 60]


async def test_a_read_that_fails_before_its_time_is_over_is_not_repeated(reads, log, monkeypatch):
    """The database is away; each caller that waits gets the error at once."""
    limits: list[float] = []

    def fail(topic: str, limit: float) -> None:
        limits.append(limit)
        raise OperationalError("the server closed the connection")

    monkeypatch.setattr(topic_reads, "read_topic", fail)

    with pytest.raises(OperationalError):
        await reads.read("boards")

    assert limits == [topic_reads.FIRST_SECONDS]


async def test_rendering_has_a_time_limit_too(reads, live, log, in_database, monkeypatch):
    """It ends between two rows, the feed is slow, and its thread reads the next topic."""
    rendered: list[int] = []

    def row(feed: Any, instance: Board) -> Any:
        rendered.append(instance.pk)
        monkeypatch.setattr(Budget, "left", 0.0)  # the time is over
        return Feed.row(feed, instance)

    await in_database(
        Board.objects.bulk_create, [Board(slug=f"s{number}", title="slow") for number in range(50)]
    )
    await in_database(live, Board, name="lengthy", fields=["title"], row=row)
    monkeypatch.undo()
    rendered.clear()
    monkeypatch.setattr(topic_reads, "SLOW_SECONDS", 0.0)

    with pytest.raises(TimeoutError, match=r"lengthy took more than .* s: 1 rows were rendered"):
        await reads.read("lengthy")

    assert len(rendered) == 1
    assert "lengthy" in reads.slow
    monkeypatch.undo()
    assert await reads.read("boards")


async def test_a_subscriber_that_leaves_does_not_free_a_thread_that_still_reads(reads, gate, quay):
    """Otherwise clients that come and go would take all threads with one slow feed."""
    for _ in range(6):
        (task,) = start(reads, "held", 1)
        await asyncio.wait([task], timeout=0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    await reads.read(f"entries.{quay.pk}")

    assert gate.reading["held"] <= 2


async def test_a_failed_read_frees_its_share(reads, gate, monkeypatch):
    """The error is the caller's."""

    def fail(topic: str, limit: float) -> None:
        raise OperationalError("broken")

    monkeypatch.setattr(topic_reads, "read_topic", fail)

    errors = await asyncio.gather(*start(reads, "held", 8), return_exceptions=True)

    assert [type(error) for error in errors] == [OperationalError] * 8


async def test_a_query_of_rows_has_a_time_limit(reads, live, log, in_database, settings):
    """One that does not end fails after ``READ_SECONDS``, and its thread reads the next topic."""
    settings.REALTIME = {"READ_SECONDS": 0.05}

    def get_queryset(feed: Any) -> Any:
        with connection.cursor() as cursor:
            cursor.execute(ENDLESS[connection.vendor])
        return feed.model.objects.all()

    await in_database(live, Board, name="endless", get_queryset=get_queryset)

    for _ in range(5):
        with pytest.raises(OperationalError):
            await reads.read("endless")
    assert await reads.read("boards")


async def test_eight_topics_of_a_slow_feed_hold_up_neither_rights_nor_other_topics(service, gate, quay):
    """All of them are being read: others subscribe, are checked and are identified meanwhile."""
    held = start(service.hub._reads, "held", 8)
    await until(lambda: gate.reading["held"] == 2)

    await service.rights.check(ANONYMOUS, f"entries.{quay.pk}")
    assert await service.hub.has_reached(1)
    assert (await service.hub._reads.read(f"entries.{quay.pk}")).rows
    assert gate.reading["held"] == 2

    gate.is_open.set()
    await asyncio.gather(*held)
