"""The publisher: sequences, sends and runs jobs, in one process at a time, and survives every error."""

import asyncio
import contextlib
import itertools
import logging
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from django.apps.registry import Apps
from django.db import OperationalError, connection, models, transaction

from realtime.boards.models import Board, Entry
from realtime.databases.outbox import Probe
from realtime.feeds import Feed, register, registry
from realtime.models import LogEntry, OutboxRow
from realtime.publishing import capture, feed_changes, housekeeping, lease, positions
from realtime.publishing import publisher as publisher_module
from realtime.publishing.publisher import Publisher
from realtime.publishing.slow_feeds import Images, SlowFeeds
from realtime.schedule import Job, jobs
from tests.conftest import until
from tests.support.positions import position_now


@pytest.fixture
async def start(log, layer, settings) -> AsyncIterator[Callable[[], Publisher]]:
    """Start publishers; all are stopped at the end."""
    settings.REALTIME = {"TICK_SECONDS": 0.01, "LEASE_SECONDS": 0.3}
    publishers: list[Publisher] = []

    def one(log_moved: Callable[[], None] = lambda: None) -> Publisher:
        publisher = Publisher(layer, standby_seconds=0.01, log_moved=log_moved)
        publisher.start()
        publishers.append(publisher)
        return publisher

    yield one
    for publisher in publishers:
        if not publisher._is_stopping:
            await publisher.stop()


@pytest.fixture
def no_jobs(monkeypatch) -> dict[str, Job]:
    """An empty schedule."""
    empty: dict[str, Job] = {}
    monkeypatch.setattr(publisher_module, "jobs", empty)
    return empty


async def test_a_change_is_sent_to_the_group_of_its_topic(start, layer, quay, in_database):
    """One message for each entry."""
    channel = await layer.new_channel()
    await layer.group_add(f"realtime.topic.entries.{quay.pk}", channel)
    start()

    await in_database(quay.entries.create, label="new")

    message = await asyncio.wait_for(layer.receive(channel), 60)
    assert (message["type"], message["kind"]) == ("realtime.entry", "changes")
    assert "new" in message["payload"]


def write_in_another_process(quay: Board) -> None:
    """Add an entry as another process would: without a signal or transaction in this one."""
    with contextlib.closing(sqlite3.connect(connection.settings_dict["NAME"])) as another, another:
        another.execute("INSERT INTO boards_entry (board_id, label) VALUES (?, 'noticed')", [quay.pk])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports writes to files")
async def test_a_write_of_another_process_is_found_before_the_tick(start, layer, quay, no_jobs, settings):
    """The file watch notices it: the tick of this test is minutes long."""
    settings.REALTIME = {"TICK_SECONDS": 100, "LEASE_SECONDS": 1000}
    channel = await layer.new_channel()
    await layer.group_add(f"realtime.topic.entries.{quay.pk}", channel)
    publisher = start()
    await until(lambda: publisher._quiet)  # it has probed, and waits

    write_in_another_process(quay)

    message = await asyncio.wait_for(layer.receive(channel), 60)
    assert "noticed" in message["payload"]


async def test_a_reset_of_a_whole_feed_is_sent_to_the_group_of_all_hubs(start, layer, quay, in_database):
    """No channel joins a group with the feed's name."""
    channel = await layer.new_channel()
    await layer.group_add("realtime.everyone", channel)
    start()

    await in_database(OutboxRow.objects.create, source="boards_entry", image=None)

    message = await asyncio.wait_for(layer.receive(channel), 60)
    assert (message["kind"], message["topic"]) == ("reset", "entries")


async def test_a_layer_that_fails_does_not_stop_the_publisher(
    start, layer, quay, in_database, monkeypatch, lines
):
    """The entries are in the log; one log line reports it, not one for each entry."""
    refused = []

    async def refuse(*args: object) -> None:
        refused.append(args)
        raise ConnectionError("no layer")

    monkeypatch.setattr(layer, "group_send", refuse)
    start()

    for number in (1, 2):
        await in_database(quay.entries.create, label="new")
        await until(lambda number=number: len(refused) == number)

    topic = f"entries.{quay.pk}"
    assert await in_database(LogEntry.objects.filter(topic=topic, payload__contains="new").count) == 2
    assert len([line for line in lines() if "from the log alone" in line]) == 1


async def test_a_database_that_fails_is_survived(start, quay, in_database, monkeypatch, lines):
    """The publisher retries until the database works, and loses no change."""
    probe = positions.probe
    failures = [OperationalError("disk I/O error")] * 2

    def fail_at_first():
        if failures:
            raise failures.pop()
        return probe()

    monkeypatch.setattr(positions, "probe", fail_at_first)
    start()
    await in_database(Entry.objects.create, board=quay, label="new")

    await until(lambda: any("publisher works again" in line for line in lines()))

    assert await in_database(LogEntry.objects.filter(payload__contains="new").exists)
    assert len([line for line in lines() if "disk I/O error" in line]) == 1


async def test_one_process_leads_and_another_takes_over(start, settings):
    """At once if the first one is stopped regularly."""
    settings.REALTIME = {"TICK_SECONDS": 0.01, "LEASE_SECONDS": 6}  # a slow machine renews it in time
    first = start()
    await until(lambda: first.is_leader)
    second = start()
    await until(lambda: second._housekeeping.has_asked_for_lease)
    was_leader = second.is_leader

    await first.stop()

    await until(lambda: second.is_leader)
    assert not was_leader


async def test_a_slow_feed_is_tried_apart_from_the_rounds(start, layer, quay, in_database, monkeypatch):
    """They go on while a job's thread finds out whether it is quick again."""
    entered, ends = threading.Event(), threading.Event()
    tried: list[tuple[Feed, Any]] = []

    def try_slow_feed(feed: Feed, images: Any) -> None:
        tried.append((feed, images))
        entered.set()
        ends.wait(60)

    slow_feeds = SlowFeeds(clock=itertools.count(0, 1000).__next__)
    monkeypatch.setattr(publisher_module, "try_slow_feed", try_slow_feed)
    monkeypatch.setattr(publisher_module, "slow_feeds", slow_feeds)
    monkeypatch.setattr(feed_changes, "slow_feeds", slow_feeds)
    images: Images = {"boards_entry": [{"id": "1"}]}
    slow_feeds.note(registry["entries"], 0.25, "a query", images)
    channel = await layer.new_channel()
    await layer.group_add(f"realtime.topic.entries.{quay.pk}", channel)
    start()

    await until(entered.is_set)
    await in_database(quay.entries.create, label="new")
    message = await asyncio.wait_for(layer.receive(channel), 60)
    ends.set()

    assert message["kind"] == "reset"
    assert tried == [(registry["entries"], images)]


async def test_jobs_run_again_and_again(start, no_jobs):
    """At their interval, without a request."""
    turns: list[int] = []
    no_jobs["count"] = Job("count", lambda: turns.append(1), seconds=0.02)

    start()

    await until(lambda: len(turns) >= 3)


async def test_a_long_job_delays_no_change(start, no_jobs, quay, layer, in_database):
    """It runs in a thread of its own, and is not started again while it runs."""
    begun, may_end = threading.Event(), threading.Event()
    turns: list[int] = []

    def linger() -> None:
        turns.append(1)
        begun.set()
        may_end.wait(20)

    no_jobs["linger"] = Job("linger", linger, seconds=0.01)
    channel = await layer.new_channel()
    await layer.group_add(f"realtime.topic.entries.{quay.pk}", channel)
    start()
    await asyncio.to_thread(begun.wait, 10)

    await in_database(quay.entries.create, label="meanwhile")
    message = await asyncio.wait_for(layer.receive(channel), 60)
    may_end.set()

    assert "meanwhile" in message["payload"]
    assert turns == [1]


class Patience:
    """Replaces the publisher's event: counts the waits and ends each at once.

    ``is_awake`` is whether something was committed in this process.
    """

    def __init__(self, publisher: Publisher, is_awake: bool = True) -> None:
        self.publisher, self.waits, self.is_awake = publisher, 0, is_awake

    def wait(self, seconds: float) -> None:
        self.waits += 1
        self.publisher._is_stopping = True

    def is_set(self) -> bool:
        return self.is_awake

    def clear(self) -> None: ...

    def set(self) -> None: ...


async def test_a_job_that_is_overdue_and_running_does_not_make_the_publisher_spin(
    log, layer, no_jobs, in_database, monkeypatch
):
    """While it runs, the publisher waits between probes as usual."""
    job = no_jobs["linger"] = Job("linger", lambda: None, seconds=0.001)
    assert job.start_if_due(0)  # it runs, and its next turn is overdue
    publisher = Publisher(layer, standby_seconds=0.01)
    publisher._loop = asyncio.get_running_loop()
    patience = Patience(publisher)
    monkeypatch.setattr(publisher, "_awake", patience)

    await in_database(publisher._work)

    assert patience.waits == 1


class Wakes:
    """Replaces the loop of a publisher: notes the calls that its thread has the loop make."""

    def __init__(self) -> None:
        self.calls: list[Callable[..., None]] = []

    def call_soon_threadsafe(self, call: Callable[..., None], *arguments: object) -> None:
        self.calls.append(call)


async def test_a_lone_change_takes_two_probes_and_wakes_the_loop_once(
    log, layer, quay, no_jobs, in_database, monkeypatch
):
    """One probe finds it, and one finds nothing more: each costs as much as a statement of sequencing."""
    probes: list[int] = []

    def probe_counted() -> Probe:
        probes.append(1)
        return probe()

    probe = positions.probe
    monkeypatch.setattr(positions, "probe", probe_counted)
    publisher = Publisher(layer, standby_seconds=0.01)
    wakes = Wakes()
    monkeypatch.setattr(publisher, "_loop", wakes, raising=False)
    monkeypatch.setattr(publisher, "_awake", Patience(publisher))
    await in_database(publisher._work)
    for label in ("first", "second"):
        await in_database(quay.entries.create, label=label)
        publisher._is_stopping = False
        probes.clear()
        wakes.calls.clear()

        await in_database(publisher._work)

        assert len(probes) == 2
        assert wakes.calls == [publisher._sequenced]


@pytest.mark.parametrize("is_awake", [True, False])
async def test_a_standby_leaves_changes_of_other_processes_to_the_leader(
    log, layer, quay, no_jobs, in_database, monkeypatch, settings, is_awake
):
    """It sequences commits of its own process at once: the leader may not have noticed them yet."""
    settings.REALTIME = {"TICK_SECONDS": 100}
    publisher = Publisher(layer, standby_seconds=0.01)
    monkeypatch.setattr(publisher, "_loop", Wakes(), raising=False)
    monkeypatch.setattr(publisher, "_awake", Patience(publisher, is_awake))
    await in_database(publisher._prepare)
    await in_database(quay.entries.create, label="new")

    await in_database(publisher._work)

    assert await in_database(LogEntry.objects.filter(payload__contains="new").exists) == is_awake


async def test_a_standby_sequences_what_the_leader_does_not(start, quay, in_database, settings):
    """A leader that hangs keeps its lease for a while."""
    settings.REALTIME = {"TICK_SECONDS": 0.01, "LEASE_SECONDS": 1000}
    assert await in_database(lease.acquire, "a process that hangs")
    publisher = start()
    await until(lambda: publisher._quiet)

    await in_database(write_in_another_process, quay)

    async with asyncio.timeout(30):
        while not await in_database(LogEntry.objects.filter(payload__contains="noticed").exists):
            await asyncio.sleep(0.01)
    assert not publisher.is_leader


async def test_the_log_of_another_process_is_noticed(start, quay, in_database, log):
    """This process's hub is asked to read the log, although this publisher has sequenced nothing."""
    moved: list[int] = []
    publisher = start(lambda: moved.append(1))
    await until(lambda: moved)
    moved.clear()

    def add_to_the_log() -> None:
        position = position_now().offset
        LogEntry.objects.create(
            position=position + 1, topic="boards", kind="changes", after=1, begins=position, payload="[]"
        )

    await in_database(add_to_the_log)

    await until(lambda: moved)
    await until(lambda: publisher.is_leader)


async def test_a_restored_database_begins_a_new_epoch(start, quay, in_database, log):
    """A backup restored under a running server is consistent, but its positions will be used again."""
    for number in range(5):
        await in_database(quay.entries.create, label=str(number))
    await in_database(log.sequence)
    before = await in_database(lambda: log.state)
    publisher = start()
    await until(lambda: publisher._log_seen[0] == before.epoch)

    def restore_a_backup() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "UPDATE sqlite_sequence SET seq = %s WHERE name = 'realtime_outboxrow'", [before.next - 4]
            )
            cursor.execute("DELETE FROM realtime_logentry WHERE position > %s", [before.next - 3])
            cursor.execute("UPDATE realtime_sequencer SET next = %s", [before.next - 3])

    await in_database(restore_a_backup)

    async with asyncio.timeout(60):
        while (await in_database(lambda: log.state)).epoch == before.epoch:
            await asyncio.sleep(0.01)


async def test_triggers_that_stay_missing_are_installed_again(start, in_database, monkeypatch):
    """The leader checks them regularly, and gives a running migration time to install them itself."""
    monkeypatch.setattr(housekeeping, "VERIFY_SECONDS", 0.0)
    monkeypatch.setattr(housekeeping, "LEADERS_PAUSE_SECONDS", 0.01)
    publisher = start()
    await until(lambda: publisher.is_leader)

    await in_database(capture.uninstall, ["boards_entry"])

    async with asyncio.timeout(60):
        while await in_database(capture.missing):
            await asyncio.sleep(0.01)


def test_the_demos_jobs_are_scheduled():
    """The publisher runs the jobs that jobs.py modules declare."""
    assert vars(publisher_module)["jobs"] is jobs


async def test_feeds_that_are_off_are_in_the_log_once(start, in_database, quay, lines):
    """With the reason and what to do, as in the system checks; the others are sequenced."""

    class Berth(models.Model):
        pk = models.CompositePrimaryKey("pier", "number")
        pier = models.IntegerField()
        number = models.IntegerField()

        class Meta:
            app_label = "throwaway"
            apps = Apps()

    register(Berth)(type("Berths", (Feed,), {"name": "berths"}))
    register(Entry)(type("Disordered", (Feed,), {"name": "disordered", "ordering": ["titel"]}))
    try:
        publisher = start()
        await in_database(quay.entries.create, label="new")
        new = LogEntry.objects.filter(topic=f"entries.{quay.pk}", payload__contains="new")
        while not await in_database(new.exists):
            await asyncio.sleep(0.01)
        await publisher.stop()
    finally:
        registry.remove("berths")
        registry.remove("disordered")

    berths, disordered = [line for line in lines(logging.ERROR) if "is off" in line]
    assert "feed berths is off: Berth has a composite primary key" in berths
    assert "UniqueConstraint" in berths
    assert "feed disordered is off: ordering has 'titel'" in disordered
