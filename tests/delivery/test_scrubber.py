"""Scrubbing: what triggers cannot see is found, sent and reported; what they see is left to the log."""

import asyncio
import threading
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from realtime.boards.models import Entry
from realtime.delivery import topic_reads
from realtime.delivery.scrubber import Scrubber
from realtime.engine.position import Position
from realtime.models import OutboxRow
from realtime.publishing import log as log_module
from realtime.publishing.positions import read_topic
from realtime.runtime import metrics
from tests.conftest import until
from tests.delivery.conftest import Broken, Follower, Wire, has_row

RENAME = "UPDATE boards_entry SET label = 'unseen' WHERE board_id = %s AND label = 'Saltmere'"


def write_unseen(statement: str, parameters: list[Any]) -> None:
    """Write so that nothing of it is left in the outbox."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
        OutboxRow.objects.all().delete()


async def scrub(wire: Wire, topic: str, *, is_expected: bool = False) -> None:
    await wire.hub._shared[topic].scrub(wire.hub._log_reached(), is_expected=is_expected)


def differences(feed: str) -> float:
    return metrics.scrub_differences.labels(feed)._value.get()


@pytest.fixture
async def follower(slow, topic) -> Follower:
    """A follower of a topic that is at rest."""
    follower = await Follower(topic).follow(slow.hub)
    slow.hub.connect(follower)
    await slow.settle()
    return follower


@pytest.mark.parametrize(
    "statement",
    [
        RENAME,
        "DELETE FROM boards_entry WHERE board_id = %s AND label = 'Saltmere'",
        "UPDATE boards_entry SET is_visible = NOT is_visible WHERE board_id = %s AND label = 'Saltmere'",
        "UPDATE boards_entry SET position = position + 5 WHERE board_id = %s AND label = 'Saltmere'",
    ],
    ids=["changed", "gone", "filtered out", "moved"],
)
async def test_what_no_trigger_saw_is_corrected_and_reported(slow, quay, topic, follower, statement, lines):
    """Subscribers get the difference, not a snapshot; the log names the topic and the row, and it is counted."""
    row = await slow._in_database(quay.entries.get, label="Saltmere")
    before = differences("entries")
    await slow._in_database(write_unseen, statement, [quay.pk])
    await slow.settle()
    assert not await slow.is_current(follower)

    await scrub(slow, topic)
    await until(lambda: len(follower.received) > 1)

    assert await slow.is_current(follower)
    assert follower.replica.snapshots == 1
    assert differences("entries") == before + 1
    (line,) = [line for line in lines() if "differed" in line]
    assert topic in line
    assert repr(str(row.pk)) in line
    follower.pulse()
    assert not follower.replica.corrections


async def test_a_later_change_follows_a_correction(slow, quay, topic, follower):
    """The topic's position is that of the reading, and the log goes on from there."""
    await slow._in_database(write_unseen, RENAME, [quay.pk])
    await scrub(slow, topic)

    await slow.send(await slow.write(quay.entries.create, label="afterwards"))
    await until(has_row(follower, "afterwards"))

    assert await slow.is_current(follower)


async def test_a_topic_that_is_right_is_left_alone(slow, quay, topic, follower, lines):
    """Nothing is sent, logged or counted, also where the log was pruned beyond the topic's position."""
    before, received = differences("entries"), len(follower.received)

    await scrub(slow, topic)

    assert (differences("entries"), len(follower.received)) == (before, received)
    assert not [line for line in lines() if "differed" in line]


async def test_a_quiet_topic_is_scrubbed_after_the_log_was_pruned(slow, quay, topic, follower, settings):
    """Its position is older than the log, and yet nothing of it is missing."""
    settings.REALTIME = {"LOG_RETENTION_SECONDS": -1}
    await slow.write(type(quay).objects.create, slug="other", title="Other")
    await slow._in_database(log_module.prune)
    await slow.settle()
    await slow._in_database(write_unseen, RENAME, [quay.pk])

    await scrub(slow, topic)

    await until(has_row(follower, "unseen"))


@pytest.mark.parametrize("is_sequenced", [True, False], ids=["sequenced", "not yet sequenced"])
async def test_news_is_left_to_the_log(slow, quay, topic, follower, is_sequenced, lines):
    """A change that waits is no difference: it arrives once, with its own position."""
    before = differences("entries")
    await slow._in_database(quay.entries.create, label="news")
    if is_sequenced:
        await slow._in_database(slow._log.sequence)

    await scrub(slow, topic)
    assert not has_row(follower, "news")()

    await slow._in_database(slow._log.sequence)
    await slow.settle()
    await until(has_row(follower, "news"))
    assert differences("entries") == before
    assert not [line for line in lines() if "differed" in line]


async def test_a_change_that_arrives_during_the_reading_is_not_lost(slow, quay, topic, follower, monkeypatch):
    """The reading is dropped, or has it; in any order the follower ends with the database's rows."""
    has_read, go_on = threading.Event(), threading.Event()

    def paused(topic: str, limit: float) -> Any:
        reading = read_topic(topic)
        has_read.set()
        assert go_on.wait(20)
        return reading

    monkeypatch.setattr(topic_reads, "read_topic", paused)
    scrubbing = asyncio.create_task(scrub(slow, topic))
    await asyncio.to_thread(has_read.wait, 10)
    await slow.send(await slow.write(quay.entries.create, label="meanwhile"))
    await until(lambda: slow.hub._shared[topic].is_stale or has_row(follower, "meanwhile")())
    go_on.set()
    await scrubbing
    await slow.settle()

    await until(has_row(follower, "meanwhile"))
    assert await slow.is_current(follower)


async def test_a_topic_that_cannot_be_scrubbed_is_not_vouched_for(slow, topic, follower, monkeypatch):
    """Until it can be read again, by itself."""
    broken = Broken(OperationalError("broken"))
    monkeypatch.setattr(topic_reads, "read_topic", broken.wrap(read_topic))

    await scrub(slow, topic)
    assert not slow.hub._shared[topic].topic.is_readable
    broken.error = None
    await slow.settle()

    await until(lambda: slow.hub._shared[topic].topic.is_readable)


async def test_a_feed_is_refreshed_at_its_own_interval(quick, quay, live, in_database, lines):
    """Its rows depend on data outside the database; differences are expected, so they are not reported."""
    shown = ["Saltmere"]
    feed = await in_database(live, Entry, name="clock", fields=["label"], refresh_seconds=0.05)
    get_queryset = feed.get_queryset
    feed.get_queryset = lambda: get_queryset().filter(label=shown[0])
    follower = await Follower("clock").follow(quick.hub)

    for label in ("Saltmere", "Kelpstone", "Saltmere"):
        shown[0] = label
        await until(has_row(follower, label))
        assert len(follower.replica.rows) == 1

    assert not [line for line in lines() if "differed" in line]


class Shared:
    """A topic that records when it is scrubbed, each time for a second of its loop."""

    can_be_scrubbed, feed = True, "none"

    def __init__(self, name: str, clock: "Clock") -> None:
        self.name, self._clock = name, clock
        self.read_at = clock.now

    async def scrub(self, reached: Position, *, is_expected: bool) -> None:
        self.read_at = self._clock.now
        self._clock.scrubbed.append((self.name, round(self._clock.now)))
        self._clock.now += 1


class Clock:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.scrubbed: list[tuple[str, int]] = []

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("realtime.delivery.scrubber.asyncio", FakeAsyncio(clock))
    return clock


class FakeAsyncio:
    """The part of asyncio that the scrubber uses."""

    def __init__(self, clock: Clock) -> None:
        self.sleep = clock.sleep
        self.get_running_loop = lambda: self
        self.time = lambda: clock.now


@pytest.mark.parametrize(
    ("share", "topics", "scrubs"),
    [(0.5, 2, 20), (0.1, 20, 100), (0.01, 20, 10), (0.0, 2, 0)],
    ids=["each at its time", "as many as fit", "few", "none"],
)
async def test_scrubbing_keeps_to_its_share(clock, settings, share, topics, scrubs):
    """In a thousand seconds, each topic every hundred where that fits; in rotation."""
    settings.REALTIME = {"SCRUB_SHARE": share, "SCRUB_SECONDS": 100.0}
    held: list[Any] = [Shared(str(number), clock) for number in range(topics)]
    scrubber = Scrubber(lambda: held, lambda: Position("e", 1))

    while clock.now < 1000:
        await scrubber.scrub_next()

    assert scrubs * 0.85 <= len(clock.scrubbed) <= scrubs
    counts = [sum(name == shared.name for name, _ in clock.scrubbed) for shared in held]
    assert max(counts) - min(counts) <= 1
