"""How late a healthy feed is while others are pruned, slow or broken; part of ``make bench``. Prints Markdown.

    python -m tests.benchmarks.neighbours [sqlite|postgresql]

A publisher and a hub in one process; a thread writes, and the time runs from its commit until a subscriber is notified.
"""

import argparse
import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from tests.support import databases, servers
from tests.support.servers import ROOT

CHANGES = 300
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


def fill() -> None:
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
            f"SELECT 'faulty_crate', '{{\"id\": 1}}' FROM {numbers(OUTBOX_ROWS)} AS numbers"
        )
        while sequence(positions.probe()) is not None:
            pass
        cursor.execute(
            'INSERT INTO realtime_logentry (position, topic, kind, "after", begins, payload, created_at) '
            "SELECT 0, 'crates', 'changes', 0, 0, '[]', '2020-01-01 00:00:00' "
            f"FROM {numbers(LOG_ENTRIES)} AS numbers"
        )
        cursor.execute("ANALYZE")


async def measure() -> None:
    """Print a row of the table for each disturbance; runs in a process with the database's settings."""
    from channels.layers import InMemoryChannelLayer

    from realtime.delivery.hub import Hub
    from realtime.delivery.topic_reads import TopicReads
    from realtime.models import OutboxRow
    from realtime.publishing import capture, positions
    from realtime.publishing.publisher import Publisher
    from realtime.runtime.threads import DatabaseThreads, close_all
    from tests.apps.faulty.models import Item, Pulse
    from tests.apps.faulty.switches import SLOW_FILE, UNRENDERABLE
    from tests.delivery.conftest import Follower

    readers, topics, writer, disturber = (
        DatabaseThreads(name, size)
        for name, size in (("reader", 4), ("topic", 4), ("writer", 1), ("disturber", 1))
    )
    slow = Path(os.environ["VAR_DIR"]) / SLOW_FILE
    subscriber, layer = Subscriber(), InMemoryChannelLayer()

    def prepare() -> None:
        capture.install()
        positions.ensure_epoch()
        Pulse.objects.create(pk=1)
        Item.objects.create(pk=1, shelf="b")
        Item.objects.create(pk=2, shelf="a", name=UNRENDERABLE)
        Item.objects.bulk_create(Item(pk=3 + number, shelf=str(number)) for number in range(TOPICS))

    def change(number: int) -> float:
        Pulse.objects.filter(pk=1).update(number=number)
        return time.perf_counter()

    numbers = iter(range(1, 1_000_000))

    async def latencies() -> list[float]:
        found = []
        for _ in range(CHANGES):
            subscriber.notified.clear()
            committed = await writer.run(change, next(numbers))
            async with asyncio.timeout(60):
                await subscriber.notified.wait()
            found.append(max(0.0, subscriber.at - committed) * 1000)
            await asyncio.sleep(PAUSE_SECONDS)
        return found

    async def report(name: str) -> None:
        found = sorted(await latencies())
        p99 = found[len(found) * 99 // 100]
        vendor = os.environ.get("BENCH_NAME", "")
        print(
            f"| {vendor}, {name} | {statistics.median(found):.1f} | {p99:.1f} | {found[-1]:.1f} |", flush=True
        )

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
        slow.write_text(str(SLOW_QUERY_SECONDS))
        async with disturbed(lambda: Item.objects.filter(pk=1).update(name=str(time.monotonic()))):
            await report(f"beside a feed whose query takes {SLOW_QUERY_SECONDS} s")
        slow.unlink()
        async with disturbed(lambda: Item.objects.filter(pk=2).update(day=None)):
            await report("beside a feed with a row that cannot be rendered")
        await report("undisturbed again")
        async with disturbed(lambda: Item.objects.filter(pk__gt=2).update(name=str(time.monotonic()))):
            await report(f"beside floods of {TOPICS:,} rows in as many topics")
        for number in range(TOPICS):
            await Follower(f"items.{number}").follow(hub)
        async with disturbed(lambda: OutboxRow.objects.create(source=Item._meta.db_table, image=None)):
            await report(f"while {TOPICS:,} topics of one feed are read again and again")
    await writer.run(fill)
    async with publishing():
        await report(f"pruning {OUTBOX_ROWS:,} outbox rows and {LOG_ENTRIES:,} log entries")
        left = await writer.run(OutboxRow.objects.count)
    print(f"{left:,} outbox rows were left when the last measurement ended", file=sys.stderr)
    await hub.stop()
    await close_all(readers, topics, writer, disturber)


def start() -> None:
    import django

    django.setup()
    asyncio.run(measure())


def _run(folder: Path, name: str, **environment: str) -> None:
    project = servers.Project(folder, DJANGO_SETTINGS_MODULE="tests.faults.settings", **environment)
    folder.mkdir(parents=True, exist_ok=True)
    project.manage("migrate", "--verbosity", "0")
    subprocess.run(
        [sys.executable, "-c", "from tests.benchmarks.neighbours import start; start()"],
        cwd=ROOT,
        env={**project.environment, "BENCH_NAME": name},
        check=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("database", nargs="?", choices=["sqlite", "postgresql"])
    chosen = parser.parse_args().database
    print("| commit to notification of a healthy feed's subscriber | p50 ms | p99 ms | max ms |")
    print("|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        if chosen != "postgresql":
            _run(Path(folder) / "sqlite", "SQLite")
        if chosen != "sqlite":
            with databases.running(fsync="on") as postgresql:
                with contextlib.closing(postgresql.connect()) as admin:
                    admin.execute("CREATE DATABASE bench")
                _run(Path(folder) / "postgresql", "PostgreSQL", DATABASE_URL=postgresql.url("bench"))


if __name__ == "__main__":
    main()
