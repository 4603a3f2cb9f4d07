"""How late a healthy feed is while others are flooded, pruned, slow or broken.

A publisher and a hub in one process; a thread writes, and the time runs from its commit until a subscriber is notified.
"""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

from .bench import Bench, Vendor
from .outcome import Budget, Outcome, latency, number

CHANGES = 250
PAUSE_SECONDS = 0.03
TOPICS = 5_000
OUTBOX_ROWS = 500_000
LOG_ENTRIES = 1_000_000
SLOW_QUERY_SECONDS = 3
DISTURBANCE_SECONDS = 0.5
"""Between two writes of the feed that is slow or has a bad row."""


class Subscriber:
    """Notes the time of each notification of one topic."""

    def __init__(self) -> None:
        from tests.delivery.conftest import Follower

        self.notified = asyncio.Event()
        self.at = 0.0

        class Noting(Follower):
            def flush(follower) -> None:
                super().flush()
                self.at = time.perf_counter()
                self.notified.set()

        self.follower = Noting("pulses")


def fill(rows: int, entries: int) -> None:
    """Write what pruning has to delete: sequenced outbox rows and old log entries."""
    from django.db import connection

    from realtime.publishing import positions
    from realtime.publishing.sequencer import sequence

    def numbers(count: int) -> str:
        if connection.vendor == "postgresql":
            return f"generate_series(1, {count})"
        return (
            "(WITH RECURSIVE number(value) AS (SELECT 1 UNION ALL "
            f"SELECT value + 1 FROM number WHERE value < {count}) SELECT value FROM number)"
        )

    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO realtime_outboxrow (source, image) "
            f"SELECT 'faulty_crate', '{{\"id\": 1}}' FROM {numbers(rows)} AS numbers"
        )
        while sequence(positions.probe()) is not None:
            pass
        cursor.execute(
            'INSERT INTO realtime_logentry (position, topic, kind, "after", begins, payload, created_at) '
            "SELECT 0, 'crates', 'changes', 0, 0, '[]', '2020-01-01 00:00:00' "
            f"FROM {numbers(entries)} AS numbers"
        )
        cursor.execute("ANALYZE")


def measure(scale: float) -> Iterator[dict[str, Any]]:
    """Print a row of the table for each disturbance; runs in a process with the database's settings."""
    asyncio.run(_measure(scale))
    yield from ()


async def _measure(scale: float) -> None:
    from realtime.delivery.hub import Hub
    from realtime.delivery.topic_reads import TopicReads
    from realtime.models import OutboxRow
    from realtime.publishing import capture, positions
    from realtime.publishing.layer import channel_layer
    from realtime.publishing.publisher import Publisher
    from realtime.runtime.threads import DatabaseThreads, close_all
    from tests.apps.faulty.models import Item, Pulse
    from tests.apps.faulty.switches import SLOW_FILE, UNRENDERABLE
    from tests.delivery.conftest import Follower

    readers, topics, writer, disturber = (
        DatabaseThreads(name, size)
        for name, size in (("reader", 4), ("topic", 4), ("writer", 1), ("disturber", 1))
    )
    topics_of_items, changes = max(5, round(TOPICS * scale)), max(3, round(CHANGES * scale))
    slow_seconds = SLOW_QUERY_SECONDS if scale >= 0.05 else 0.3
    slow = Path(os.environ["VAR_DIR"]) / SLOW_FILE
    subscriber, layer = Subscriber(), channel_layer()

    def prepare() -> None:
        capture.install()
        positions.ensure_epoch()
        Pulse.objects.create(pk=1)
        Item.objects.create(pk=1, shelf="b")
        Item.objects.create(pk=2, shelf="a", name=UNRENDERABLE)
        Item.objects.bulk_create(Item(pk=3 + number, shelf=str(number)) for number in range(topics_of_items))

    def change(number: int) -> float:
        Pulse.objects.filter(pk=1).update(number=number)
        return time.perf_counter()

    numbers = iter(range(1, 1_000_000))

    async def latencies() -> list[float]:
        found = []
        for _ in range(changes):
            subscriber.notified.clear()
            committed = await writer.run(change, next(numbers))
            async with asyncio.timeout(60):
                await subscriber.notified.wait()
            found.append(max(0.0, subscriber.at - committed) * 1000)
            await asyncio.sleep(PAUSE_SECONDS)
        return found

    async def report(name: str) -> None:
        print(json.dumps({"": name, **latency(await latencies())}), flush=True)

    def flood(rows: int) -> None:
        """Write all items again and again in one transaction, until it has written this many rows."""
        from django.db import transaction

        with transaction.atomic():
            for number in range(max(1, rows // topics_of_items)):
                Item.objects.filter(pk__gt=2).update(name=f"{number} {time.monotonic()}")

    @contextlib.asynccontextmanager
    async def disturbed(write: Callable[[], object]) -> AsyncIterator[None]:
        async def repeat() -> None:
            while True:
                await disturber.run(write)
                await asyncio.sleep(DISTURBANCE_SECONDS)

        task = asyncio.create_task(repeat())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    await writer.run(prepare)
    hub = Hub(layer, readers, TopicReads(topics, 4), 1.0)
    await hub.start()

    @contextlib.asynccontextmanager
    async def publishing() -> AsyncIterator[None]:
        publisher = Publisher(layer, 0.2, hub.look_soon)
        publisher.start()
        try:
            yield
        finally:
            await publisher.stop()

    for name in ("pulses", "slows", "items.a"):
        follower = subscriber.follower if name == "pulses" else Follower(name)
        hub.connect(follower)
        await follower.follow(hub)
    async with publishing():
        await latencies()  # until the publisher has the lease and all caches are filled
        await report("undisturbed")
        slow.write_text(str(slow_seconds))
        async with disturbed(lambda: Item.objects.filter(pk=1).update(name=str(time.monotonic()))):
            await report(f"a feed whose query takes {SLOW_QUERY_SECONDS} s")
        slow.unlink()
        async with disturbed(lambda: Item.objects.filter(pk=2).update(day=None)):
            await report("a row that cannot be rendered")
        async with disturbed(lambda: Item.objects.filter(pk__gt=2).update(name=str(time.monotonic()))):
            await report(f"floods of {TOPICS:,} rows in as many topics")
        flooding = asyncio.create_task(disturber.run(flood, round(OUTBOX_ROWS * scale)))
        await report(f"a flood of {OUTBOX_ROWS:,} rows")
        await flooding
        for number in range(topics_of_items):
            await Follower(f"items.{number}").follow(hub)
        async with disturbed(lambda: OutboxRow.objects.create(source=Item._meta.db_table, image=None)):
            await report(f"a reset of {TOPICS:,} topics that are followed, again and again")
    await writer.run(fill, round(OUTBOX_ROWS * scale), round(LOG_ENTRIES * scale))
    async with publishing():
        await report(f"pruning {OUTBOX_ROWS:,} outbox rows and {LOG_ENTRIES:,} log entries")
    await hub.stop()
    await close_all(readers, topics, writer, disturber)


async def on_sqlite(bench: Bench, out: Outcome) -> None:
    """From a commit until a subscriber of a healthy feed is notified, beside feeds that are not, on SQLite."""
    await _beside(bench, out, "SQLite")


async def on_postgresql(bench: Bench, out: Outcome) -> None:
    """The same on PostgreSQL."""
    await _beside(bench, out, "PostgreSQL")


async def _beside(bench: Bench, out: Outcome, vendor: Vendor) -> None:
    project = bench.project(vendor, DJANGO_SETTINGS_MODULE="tests.faults.settings")
    await asyncio.to_thread(project.manage, "migrate", "--verbosity", "0")
    where = "tests.benchmarks.neighbours:measure"
    rows = await asyncio.to_thread(bench.inside, project, where, scale=bench.scale)
    calm = number(rows[0]["p99 ms"])
    for row in rows:
        out.add("neighbours", {**row, "": f"{vendor}, {row['']}"})
        if row[""] != "undisturbed":
            what = f"another feed's change beside {row['']}, {vendor}, p99"
            out.judge(Budget(what, row["p99 ms"], 100, "ms", f"undisturbed {calm} ms"))
