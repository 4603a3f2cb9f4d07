"""Handlers: the publisher's process calls functions of ``on_change`` beside sequencing."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing

import pytest
from django.db import connection, connections

from realtime.boards.models import Board, Entry
from realtime.changes import Change, handlers, on_change
from realtime.feeds import Feed, registry
from realtime.models import LogEntry
from realtime.publishing import capture, write_pauses
from realtime.publishing import handlers as handlers_module
from realtime.publishing.handlers import Runner
from realtime.publishing.publisher import Publisher
from tests.conftest import until


@pytest.fixture
def probe(log) -> Iterator[Feed]:
    feed = type("Probe", (Feed,), {"name": "probe", "fields": ["label"]})(Entry)
    registry.add(feed)
    capture.install()
    before = dict(handlers)
    yield feed
    handlers.clear()
    handlers.update(before)
    registry.remove("probe")
    capture.install()


@pytest.fixture
async def publish(probe, layer, settings) -> AsyncIterator[Callable[[], Publisher]]:
    """Start a publisher of another process; all are stopped at the end."""
    settings.REALTIME = {"TICK_SECONDS": 0.01, "LEASE_SECONDS": 0.3}
    publishers: list[Publisher] = []

    def one() -> Publisher:
        publisher = Publisher(layer, standby_seconds=0.01)
        publisher.start()
        publishers.append(publisher)
        return publisher

    yield one
    for publisher in publishers:
        await publisher.stop()


async def test_a_publisher_calls_a_function_in_a_thread_of_its_own(publish, quay, in_database):
    """One of two publishers does so."""
    labels: list[tuple[str, str]] = []

    @on_change("probe", from_start=True)
    def note(change: Change) -> None:
        assert change.values is not None
        labels.append((change.values["label"], threading.current_thread().name.partition("_")[0]))

    publish()
    publish()
    await until(lambda: len(labels) == 2)
    await in_database(quay.entries.create, label="new")
    await until(lambda: len(labels) == 3)

    assert labels[-1] == ("new", "realtime-handler")
    assert {thread for _, thread in labels} == {"realtime-handler"}


async def test_a_function_that_hangs_delays_neither_sequencing_nor_other_functions(
    publish, quay, in_database
):
    """Nor does one that raises."""
    hangs, goes_on = threading.Event(), threading.Event()
    labels: list[str] = []

    @on_change("probe")
    def hang(change: Change) -> None:
        hangs.set()
        goes_on.wait(60)

    @on_change("probe")
    def fail(change: Change) -> None:
        raise ValueError("no index")

    @on_change("probe")
    async def note(change: Change) -> None:
        await asyncio.sleep(0)
        assert change.values is not None
        labels.append(change.values["label"])

    publish()
    await until(lambda: {name.rpartition(".")[2] for name in stored()} >= {"hang", "fail", "note"})
    for number in range(3):
        await in_database(quay.entries.create, label=f"{number}")
        await until(lambda number=number: f"{number}" in labels)

    assert hangs.is_set()
    assert await in_database(LogEntry.objects.filter(topic="probe").exists)
    goes_on.set()


def stored() -> list[str]:
    from concurrent.futures import ThreadPoolExecutor

    from django.db import connections

    from realtime.models import HandlerCursor

    def read() -> list[str]:
        try:
            return list(HandlerCursor.objects.values_list("name", flat=True))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(read).result()


def test_a_process_that_does_not_lead_calls_nothing(probe, log, quay):
    """It waits until it does, or stops."""
    calls: list[Change] = []
    on_change("probe", name="one", from_start=True)(calls.append)
    runner = Runner(handlers["one"], lambda: False)
    runner.wake()

    runner.turn()

    assert calls == []


def test_a_function_that_stops_is_called_no_more(probe, log, quay):
    """The remaining changes are handled by the next process."""
    calls: list[Change] = []
    runner: Runner

    def stop(change: Change) -> None:
        calls.append(change)
        runner.stop()

    on_change("probe", name="one", from_start=True)(stop)
    runner = Runner(handlers["one"], lambda: True)
    runner.turn()
    Runner(handlers["one"], lambda: not runner._is_stopping or len(calls) < 2).handle_some()

    assert [change.key for change in calls] == [str(entry.pk) for entry in Entry.objects.order_by("pk")]


@pytest.mark.parametrize("atomic, timeout", [(False, 60), (True, 0)], ids=["plain", "atomic"])
def test_other_programs_can_write_in_the_pauses_of_busy_functions(
    probe, log, quay, monkeypatch, atomic, timeout
):
    """SQLite's lock is free then, whatever the functions of this process still have to do.

    What a plain function writes by itself may still be under way when the pause begins.
    """
    written: list[int] = []

    def write(seconds: float) -> None:
        with closing(sqlite3.connect(connection.settings_dict["NAME"], timeout=timeout)) as other:
            other.execute("UPDATE boards_board SET title = title WHERE id = ?", [quay.pk])
            other.commit()
        written.append(1)

    monkeypatch.setattr(write_pauses, "BUSY_SECONDS", 0.0)
    monkeypatch.setattr(handlers_module, "_pauses", write_pauses.WritePauses(sleep=write))
    runners = []
    for number in range(3):
        on_change("probe", name=f"busy {number}", atomic=atomic)(
            lambda change: Board.objects.filter(pk=quay.pk).update(title="busy")
        )
        runners.append(Runner(handlers[f"busy {number}"], lambda: True))
        runners[-1].handle_some()
    Entry.objects.bulk_create(Entry(board=quay, label=f"{number}") for number in range(20))
    log.sequence()

    def work(runner: Runner) -> None:
        while not runner.handle_some():
            pass
        connections.close_all()

    threads = [threading.Thread(target=work, args=[runner]) for runner in runners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)

    assert len(written) >= 3 * 20
