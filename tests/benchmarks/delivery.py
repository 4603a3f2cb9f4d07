"""Deliveries: what one costs, how long a change takes, what a connection holds, compared with the baselines.

CPU is that of the server, less what it uses when idle with the same connections. Latency is measured from the commit
to the receipt by the load client; it includes the load client's own work, which is printed.
"""

import asyncio
import contextlib
import gc
import json
import time
from collections.abc import AsyncIterator
from datetime import datetime

import psutil

from tests.support.editor import Editor

from . import contestants
from .bench import Bench, cpu
from .contestants import Running
from .load import Load
from .outcome import Budget, Figures, Outcome, latency, number

COST = "CPU per delivery, µs"
KIB_EACH = {"uvicorn": 28.5, "daphne": 31.3}
"""The memory that an idle connection may hold."""


async def idle(bench: Bench, process: psutil.Process, seconds: float = 4) -> float:
    """Return the fraction of a core that a process uses while nothing happens."""
    seconds = max(0.05, bench.seconds(seconds))
    before = cpu(process)
    await asyncio.sleep(seconds)
    return (cpu(process) - before) / seconds


@contextlib.asynccontextmanager
async def connected(
    bench: Bench, name: str, topics: list[str], format: str = "rows", *, alone: bool = False
) -> AsyncIterator[tuple[Running, Load, psutil.Process, float]]:
    """Run a contestant with a client for each topic; yield it, its clients, its process, and KiB per client."""
    with contestants.run(bench, name, alone=alone) as running:
        process = psutil.Process(running.pid)
        load = Load(running.url, running.dialect, format, bench.seconds(2))
        await load.open(topics[:1])  # the first connection allocates what all share
        before = process.memory_info().rss
        await load.open(topics[1:])
        memory = (process.memory_info().rss - before) / max(1, len(topics) - 1) / 1024
        gc.collect()
        try:
            yield running, load, process, memory
        finally:
            load.close()
            await asyncio.sleep(bench.seconds(0.2))


async def make(
    running: Running, load: Load, topics: list[str], changes: int, rate: float, padding: str = ""
) -> list[float]:
    """Make changes, each when all clients have the previous one; return all latencies in milliseconds."""
    receivers = len(load.clients or load._transports) // len(topics)
    latencies: list[float] = []
    began = time.perf_counter()
    for turn in range(changes):
        await asyncio.sleep(max(0, began + turn / rate - time.perf_counter()))
        first = len(load.arrivals.times)
        value = f"{turn} {padding}" if padding else ""
        committed = await asyncio.to_thread(running.change, topics[turn % len(topics)], value)
        await load.until(first + receivers, 10)
        latencies += [1000 * (arrival - committed) for arrival in load.arrivals.times[first:]]
    return latencies


async def deliver(
    bench: Bench,
    running: Running,
    load: Load,
    process: psutil.Process,
    topics: list[str],
    changes: int,
    rate: float,
    padding: str = "",
) -> Figures:
    """Make changes at a rate, each delivered to all clients of its topic; return the cost of a delivery."""
    receivers = len(load.clients or load._transports) // len(topics)
    own = psutil.Process()
    at_rest = await idle(bench, process)
    load.arrivals.clear()
    began, used, load_used = time.perf_counter(), cpu(process), cpu(own)
    latencies = await make(running, load, topics, changes, rate, padding)
    seconds = time.perf_counter() - began
    count = max(1, len(latencies))
    return {
        COST: 1e6 * (cpu(process) - used - at_rest * seconds) / count,
        **latency(latencies),
        "delivered %": 100 * len(latencies) / (changes * receivers),
        "bytes": load.arrivals.bytes / count,
        "idle CPU %": 100 * at_rest,
        "load, µs": 1e6 * (cpu(own) - load_used) / count,
    }


async def compared(
    bench: Bench,
    out: Outcome,
    table: str,
    names: list[str],
    count: int,
    changes: int,
    rate: float,
    limit: float,
) -> None:
    """Add a row for each contestant, all with the same load; judge Tidemark's cost by the kernel floor's."""
    topics = ["entries.1"] * count
    floor = float("nan")
    for name in names:
        with out.tolerating(name):
            async with connected(bench, name, topics) as (running, load, process, memory):
                # Work left from the handshakes would count as idle CPU, and be subtracted.
                await asyncio.sleep(bench.seconds(count / 500))
                figures = await deliver(bench, running, load, process, topics[:1], changes, rate)
                cost = float(figures[COST])
                floor = cost if name == "kernel floor" else floor
                out.add(
                    table,
                    {"": name, **figures, "to floor": cost / floor, "KiB each": memory,
                     "connects/s": count / (load.opened_in or 1)},
                )  # fmt: skip
                if name in contestants.TIDEMARKS:
                    what = f"CPU per delivery, one topic of {count:,}, {rate:g}/s, {name}, to the bare write"
                    baseline = f"bare write {number(floor)} µs"
                    out.judge(Budget(what, cost / floor, limit, "times", baseline))


async def fan_out(bench: Bench, out: Outcome) -> None:
    """One topic, 1,000 subscribers, 5 changes per second by another process."""
    names, count = contestants.names(bench), bench.count(1000, 10)
    await compared(bench, out, "fan-out", names, count, bench.count(40), 5, 1.5)
    rows = {row[""]: row for row in out.tables["fan-out"]}
    group = rows.get("Channels group on uvicorn", {}).get("KiB each")
    for name, limit in KIB_EACH.items():
        if name in rows:
            baseline = f"Channels group on uvicorn {number(float(group))} KiB" if group else ""
            each = float(rows[name]["KiB each"])
            out.judge(Budget(f"idle connection, {name}", each, limit, "KiB", baseline))


async def fan_out_wide(bench: Bench, out: Outcome) -> None:
    """One topic, 5,000 subscribers, 2 changes per second by another process."""
    names = ["kernel floor", *contestants.tidemarks(bench)]
    await compared(bench, out, "fan-out-wide", names, bench.count(5000, 10), bench.count(20), 2, 1.25)


async def lone_change(bench: Bench, out: Outcome) -> None:
    """A change for five pages that follow one topic as HTML, 5 and 15 times a second, on SQLite."""
    baseline = ""
    baselines = [] if bench.is_tiny else ["Channels group on daphne"]
    for name in [*baselines, *contestants.tidemarks(bench)]:
        for rate in (5, 15):
            with out.tolerating(name):
                async with connected(bench, name, ["entries.1"] * 5, "html") as (running, load, process, _):
                    changes = bench.count(12 * rate, 2)
                    figures = await deliver(bench, running, load, process, ["entries.1"], changes, rate)
                    milliseconds = float(figures[COST]) * 5 / 1000
                    out.add(
                        "lone-change",
                        {"": name, "changes/s": float(rate), "CPU per change, ms": milliseconds,
                         **{column: figures[column] for column in ("p50 ms", "p99 ms", "delivered %")}},
                    )  # fmt: skip
                    if name in contestants.TIDEMARKS:
                        what = f"CPU of a lone change, SQLite, 5 followers, {rate}/s, {name}"
                        out.judge(Budget(what, milliseconds, 2.0, "ms", baseline))
                    else:
                        baseline = (
                            f"a Channels group on daphne, without a database, {number(milliseconds)} ms"
                        )


async def one_client(bench: Bench, out: Outcome) -> None:
    """From the commit to one client, on daphne: by another process, and by a form in the admin of the same process."""
    found: dict[str, list[float]] = {"another process": [], "a form saved in the admin": []}
    async with connected(bench, "uvicorn" if bench.is_tiny else "daphne", ["entries.1"]) as (
        running,
        load,
        _,
        _,
    ):
        for turn in range(bench.count(200)):
            await asyncio.sleep(bench.seconds(0.03 + (turn * 37 % 50) / 1000))  # at any phase of the tick
            value = f"change {turn}"
            committed = running.change("entries.1", value)
            arrived = await load.until_latest(f'"{value}"'.encode())
            found["another process"].append(1000 * (arrived - committed))
        assert running.server is not None
        admin = await asyncio.to_thread(Editor, running.server.url)
        for turn in range(bench.count(60)):
            label = f"save {turn}"
            await asyncio.to_thread(admin.save, label)
            arrived = await load.until_latest(f'"{label}"'.encode())
            # The row contains the time of the save, just before the commit, by the clock of this machine.
            (client,) = load.clients
            changes = json.loads(client.latest)["changes"]
            (row,) = [change["row"] for change in changes if change["row"]["label"] == label]
            saved = datetime.fromisoformat(row["updated"]).timestamp()
            found["a form saved in the admin"].append(
                1000 * (time.time() - (time.perf_counter() - arrived) - saved)
            )
    rows = {title: latency(milliseconds) for title, milliseconds in found.items()}
    for title, figures in rows.items():
        out.add("one-client", {"": title, **figures})
    baseline = f"a form saved in the admin {number(float(rows['a form saved in the admin']['p50 ms']))} ms"
    for column, limit in (("p50 ms", 5), ("p99 ms", 15)):
        measured = float(rows["another process"][column])
        out.judge(Budget(f"commit → message, other process, {column[:3]}", measured, limit, "ms", baseline))
