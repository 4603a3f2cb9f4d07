"""Many processes: what N hubs ask of PostgreSQL and of Valkey, counted in N real processes that hold topics.

Each process has a hub with its floor; one more sequences and sends. There are no sockets: ``growth`` measures what a
connection costs.
"""

import asyncio
import collections
import contextlib
import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import psutil

from .bench import FIRST_BOARD, Bench, cpu
from .outcome import Curve, Outcome, Points

PROCESSES = (1, 4, 16)
TOPICS_EACH = 20
RATE = 20.0
SECONDS = 8.0
CHANGED = (10, 100, 1_000, 10_000)


# ---------------------------------------------------------------- the processes


class Statements:
    """Counts the statements of this process by their first words."""

    def __init__(self) -> None:
        self.counts: collections.Counter[str] = collections.Counter()

    def install(self) -> None:
        from django.db.backends.signals import connection_created

        connection_created.connect(self._wrap, weak=False)

    def _wrap(self, connection: Any, **_: Any) -> None:
        if self._count not in connection.execute_wrappers:
            connection.execute_wrappers.append(self._count)

    def _count(self, execute: Any, sql: Any, parameters: Any, many: bool, context: Any) -> Any:
        self.counts[str(sql).split(None, 1)[0].upper()] += 1
        return execute(sql, parameters, many, context)


def _follow(place: int, topics: list[str], ready: Any, begin: Event, end: Event, file: str) -> None:
    """Run a hub that holds topics; write how many statements and messages it had between two events."""
    from channels.layers import get_channel_layer

    from realtime.delivery.hub import Hub
    from realtime.delivery.topic_reads import TopicReads
    from realtime.runtime.threads import DatabaseThreads, close_all
    from tests.delivery.conftest import Follower

    statements = Statements()
    statements.install()

    async def run() -> None:
        readers, reads = DatabaseThreads(f"reader-{place}", 1), DatabaseThreads(f"topic-{place}", 1)
        hub = Hub(get_channel_layer(), readers, TopicReads(reads, 1), 1.0)
        await hub.start()
        followers = [await Follower(topic).follow(hub) for topic in topics]
        await asyncio.sleep(1.5)  # the first look at the log
        ready.release()
        await asyncio.to_thread(begin.wait)
        before, used, began = statements.counts.copy(), time.process_time(), time.monotonic()
        received = sum(len(follower.received) for follower in followers)
        await asyncio.to_thread(end.wait)
        counted = statements.counts - before
        found = {
            "statements": sum(counted.values()), "cpu": time.process_time() - used,
            "seconds": time.monotonic() - began,
            "received": sum(len(follower.received) for follower in followers) - received,
        }  # fmt: skip
        Path(file).write_text(json.dumps(found))
        await hub.stop()
        await close_all(readers, reads)

    asyncio.run(run())


def _publish(ready: Any, begin: Event, end: Event, file: str) -> None:
    """Sequence and send as ``manage.py publish`` does; write how many statements it had between two events."""
    from channels.layers import get_channel_layer

    from realtime.conf import get_conf
    from realtime.publishing.publisher import Publisher

    statements = Statements()
    statements.install()

    async def run() -> None:
        publisher = Publisher(get_channel_layer(), get_conf().tick_seconds, lambda: None)
        publisher.start()
        await asyncio.sleep(1.5)
        ready.release()
        await asyncio.to_thread(begin.wait)
        before, used, began = statements.counts.copy(), time.process_time(), time.monotonic()
        await asyncio.to_thread(end.wait)
        counted = statements.counts - before
        seconds = time.monotonic() - began
        found = {"statements": sum(counted.values()), "cpu": time.process_time() - used, "seconds": seconds}
        Path(file).write_text(json.dumps(found))
        await publisher.stop()

    asyncio.run(run())


def measure(
    processes: int, topics_each: int, rate: float, seconds: float, servers: dict[str, int]
) -> Iterator[dict[str, float]]:
    """Run so many hubs and a publisher while rows are written; yield what they, PostgreSQL and Valkey did in a second.

    ``servers`` are the process ids of PostgreSQL and of Valkey, and Valkey's port.
    """
    import redis
    from django.db import connection

    from realtime.boards.models import Entry
    from realtime.publishing import capture, positions

    capture.install()
    positions.ensure_epoch()
    topics = [f"entries.{FIRST_BOARD + place}" for place in range(topics_each)]
    keys = dict(Entry.objects.filter(board__gte=FIRST_BOARD).order_by("-pk").values_list("board", "pk"))
    connection.close()
    context = multiprocessing.get_context("fork")
    ready, begin, end = context.Semaphore(0), context.Event(), context.Event()
    folder = Path(os.environ["VAR_DIR"])
    files = [str(folder / f"hub-{processes}-{place}.json") for place in range(processes)]
    workers = [
        context.Process(target=_follow, args=(place, topics, ready, begin, end, file), daemon=True)
        for place, file in enumerate(files)
    ]
    publisher = str(folder / f"publisher-{processes}.json")
    workers.append(context.Process(target=_publish, args=(ready, begin, end, publisher), daemon=True))
    for worker in workers:
        worker.start()
    for _ in workers:
        if not ready.acquire(timeout=120):
            raise RuntimeError("a process was not ready in two minutes")

    client: Any = redis.Redis(port=servers["port"])

    def layer() -> dict[str, float]:
        return {**client.info("stats"), "cpu": _cpu_of(servers["valkey"])}

    before, postgresql, began = layer(), _cpu_of(servers["postgresql"]), time.monotonic()
    begin.set()
    written = 0
    while time.monotonic() < began + seconds:
        board = FIRST_BOARD + written % topics_each
        Entry.objects.filter(pk=keys[board]).update(value=str(written))
        written += 1
        time.sleep(max(0.0, began + written / rate - time.monotonic()))
    took = time.monotonic() - began
    after, spent = layer(), _cpu_of(servers["postgresql"]) - postgresql
    end.set()  # after PostgreSQL's processes were looked at: those of connections that close are gone
    for worker in workers:
        worker.join(timeout=60)
        worker.kill()
    hubs = [json.loads(Path(file).read_text()) for file in files]
    sender = json.loads(Path(publisher).read_text())
    yield {
        "processes": processes,
        "changes/s": written / took,
        "statements/s of one hub": sum(hub["statements"] / hub["seconds"] for hub in hubs) / processes,
        "statements/s of the publisher": sender["statements"] / sender["seconds"],
        "PostgreSQL, % of a core": 100 * spent / took,
        "layer commands/s": (after["total_commands_processed"] - before["total_commands_processed"]) / took,
        "layer KiB/s out": (after["total_net_output_bytes"] - before["total_net_output_bytes"]) / 1024 / took,
        "Valkey, % of a core": 100 * (after["cpu"] - before["cpu"]) / took,
        "one hub, % of a core": 100 * sum(hub["cpu"] / hub["seconds"] for hub in hubs) / processes,
        "publisher, % of a core": 100 * sender["cpu"] / sender["seconds"],
        "received/s of one hub": sum(hub["received"] / hub["seconds"] for hub in hubs) / processes,
    }


def _cpu_of(pid: int) -> float:
    """Return the CPU seconds of a process and its children, those that have ended included."""
    process = psutil.Process(pid)
    times = process.cpu_times()
    spent = cpu(process) + times.children_user + times.children_system
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            spent += cpu(child)
    return spent


def looks(counts: list[int], repeats: int) -> Iterator[dict[str, float]]:
    """Yield what one look of the floor at the log's tail takes, by the number of topics that have changed since."""
    from django.db import transaction

    from realtime.boards.models import Entry
    from realtime.feeds import registry
    from realtime.models import LogEntry
    from realtime.publishing import capture, log, positions
    from realtime.publishing.sequencer import sequence

    capture.install()
    positions.ensure_epoch()
    entry = Entry.objects.order_by("pk").first()
    assert entry is not None
    fingerprint = registry["entries"].fingerprint
    for count in counts:
        Entry.objects.filter(pk=entry.pk).update(value=f"before {count}")
        while (seen := positions.probe()).is_waiting:
            sequence(seen)
        after = positions.probe().log_end
        for start in range(0, count, 5_000):
            with transaction.atomic():
                log.append([
                    LogEntry(position=after + 1, topic=f"entries.{1_000_000 + topic}", kind=LogEntry.Kind.CHANGES.value,
                             after=after, begins=after, payload="[]", fingerprint=fingerprint)
                    for topic in range(start, min(start + 5_000, count))
                ])  # fmt: skip
        log.tail(after)
        began, used = time.perf_counter(), time.process_time()
        for _ in range(repeats):
            log.tail(after)
        yield {
            "topics changed": count, "one look, ms": 1000 * (time.perf_counter() - began) / repeats,
            "of these CPU of the process, ms": 1000 * (time.process_time() - used) / repeats,
        }  # fmt: skip
        LogEntry.objects.filter(position__gt=after).delete()


# ---------------------------------------------------------------- the scenarios


async def hubs(bench: Bench, out: Outcome) -> None:
    """1, 4 and 16 processes hold the same 20 topics, at rest and with 20 changes a second, on PostgreSQL and Valkey."""
    counts = PROCESSES[:1] if bench.is_tiny else PROCESSES
    lines: dict[str, Points] = {}
    bytes_: Points = []
    for processes in counts:
        for rate in (RATE,) if bench.is_tiny else (0.2, RATE):
            with out.tolerating(f"{processes} processes, {rate:g}/s"):
                environment = {"REDIS_URL": bench.valkey.url, "READER_THREADS": "1", "TOPIC_THREADS": "1"}
                project = bench.project("PostgreSQL", **environment)
                assert bench.valkey.process is not None
                servers = {
                    "postgresql": bench.postgresql.process_id, "valkey": bench.valkey.process.pid,
                    "port": bench.valkey.port,
                }  # fmt: skip
                (row,) = await asyncio.to_thread(
                    bench.inside, project, "tests.benchmarks.cluster:measure", processes=processes,
                    topics_each=bench.count(TOPICS_EACH, 2), rate=rate, seconds=max(1.0, bench.seconds(SECONDS)),
                    servers=servers,
                )  # fmt: skip
                out.add("cluster", row)
                kind = "with changes" if rate == RATE else "at rest"
                total = row["statements/s of one hub"] * processes
                lines.setdefault(f"hubs, {kind}", []).append((processes, total))
                if rate == RATE:
                    bytes_.append((processes, row["layer KiB/s out"]))
    title, x = "Statements a second by the number of processes", "processes"
    out.curves.append(Curve("cluster-statements", title, x, "statements/s", lines))
    title = "What the layer sends by the number of processes, 20 changes/s"
    out.curves.append(Curve("cluster-layer", title, x, "KiB/s", {"Valkey": bytes_}))


async def floor(bench: Bench, out: Outcome) -> None:
    """One look at the log's tail on PostgreSQL, with 10 to 10,000 topics changed since the one before."""
    counts = sorted({bench.count(count, 2) for count in CHANGED})
    where, repeats = "tests.benchmarks.cluster:looks", bench.count(20, 2)
    project = bench.project("PostgreSQL", REDIS_URL=bench.valkey.url, READER_THREADS="1", TOPIC_THREADS="1")
    rows = await asyncio.to_thread(bench.inside, project, where, counts=counts, repeats=repeats)
    for row in rows:
        out.add("floor", row)
    lines = {
        "one look": [(row["topics changed"], row["one look, ms"]) for row in rows],
        "CPU of the process": [
            (row["topics changed"], row["of these CPU of the process, ms"]) for row in rows
        ],
    }
    out.curves.append(
        Curve("floor", "One look at the log's tail", "topics changed since the last one", "ms", lines)
    )
