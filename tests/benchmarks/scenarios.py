"""The scenarios. Each runs contestants and returns rows of figures by column.

CPU is that of the server, minus what it uses when idle with the same connections. Latency is measured from the commit
to the receipt by the load client; it includes the load client's own work, which is printed.
"""

import asyncio
import contextlib
import gc
import json
import statistics
import time
from collections.abc import AsyncIterator
from datetime import datetime

import psutil

from tests.support import attacks
from tests.support.editor import Editor
from tests.support.servers import Server
from tests.support.stalled import stalled_socket

from .contestants import FIRST_TOPIC, Prepared, Running
from .load import Client, Load, reconnect

Figures = dict[str, float | str]
MIB = 2**20
TIDEMARKS = ["uvicorn", "daphne"]


def cpu(process: psutil.Process) -> float:
    """Return the CPU time that a process has used, in seconds."""
    times = process.cpu_times()
    return times.user + times.system


async def idle(process: psutil.Process, seconds: float = 4) -> float:
    """Return the fraction of a core that a process uses while nothing happens."""
    before = cpu(process)
    await asyncio.sleep(seconds)
    return (cpu(process) - before) / seconds


def latency(milliseconds: list[float]) -> Figures:
    ordered = sorted(milliseconds) or [float("nan")]
    return {
        "p50 ms": statistics.median(ordered),
        "p99 ms": ordered[len(ordered) * 99 // 100],
        "max ms": ordered[-1],
    }


@contextlib.asynccontextmanager
async def connected(
    prepared: Prepared, name: str, topics: list[str]
) -> AsyncIterator[tuple[Running, Load, psutil.Process, float]]:
    """Run a contestant with a client for each topic; yield it, its clients, its process, and KiB per client."""
    with prepared.run(name) as running:
        process = psutil.Process(running.pid)
        load = Load(running.url, running.dialect)
        await load.open(topics[:1])  # the first connection allocates what all share
        before = process.memory_info().rss
        await load.open(topics[1:])
        memory = (process.memory_info().rss - before) / max(1, len(topics) - 1) / 1024
        gc.collect()
        try:
            yield running, load, process, memory
        finally:
            load.close()
            await asyncio.sleep(0.2)


async def make(
    running: Running, load: Load, topics: list[str], changes: int, rate: float, padding: str = ""
) -> list[float]:
    """Make changes, each when all clients have the previous one; return all latencies in milliseconds."""
    receivers = len(load.clients or load._transports) // len(topics)
    latencies: list[float] = []
    began = time.perf_counter()
    for number in range(changes):
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        first = len(load.arrivals.times)
        value = f"{number} {padding}" if padding else ""
        committed = await asyncio.to_thread(running.change, topics[number % len(topics)], value)
        await load.until(first + receivers, 10)
        latencies += [1000 * (arrival - committed) for arrival in load.arrivals.times[first:]]
    return latencies


async def deliver(
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
    at_rest = await idle(process)
    load.arrivals.clear()
    began, used, load_used = time.perf_counter(), cpu(process), cpu(own)
    latencies = await make(running, load, topics, changes, rate, padding)
    seconds = time.perf_counter() - began
    count = max(1, len(latencies))
    return {
        "CPU per delivery, µs": 1e6 * (cpu(process) - used - at_rest * seconds) / count,
        **latency(latencies),
        "delivered %": 100 * len(latencies) / (changes * receivers),
        "bytes": load.arrivals.bytes / count,
        "idle CPU %": 100 * at_rest,
        "load, µs": 1e6 * (cpu(own) - load_used) / count,
    }


async def fan_out(prepared: Prepared, scale: float) -> list[Figures]:
    """One topic, 1,000 subscribers, 5 changes per second by another process."""
    rows: list[Figures] = []
    floor = None
    for name in ["kernel floor", *(name for name in prepared.names if name != "kernel floor")]:
        topics = ["entries.1"] * int(1000 * scale)
        async with connected(prepared, name, topics) as (running, load, process, memory):
            figures = await deliver(running, load, process, topics[:1], int(40 * scale) or 1, 5)
            cost = float(figures["CPU per delivery, µs"])
            floor = cost if floor is None else floor
            connects = len(topics) / (load.opened_in or 1)
            rows.append(
                {
                    "": name,
                    **figures,
                    "to floor": cost / (floor or float("nan")),
                    "KiB each": memory,
                    "connects/s": connects,
                }
            )
    return rows


async def many_topics(prepared: Prepared, scale: float) -> list[Figures]:
    """100 topics with 10 subscribers each, 20 changes per second."""
    topics = [f"entries.{number}" for number in range(FIRST_TOPIC, FIRST_TOPIC + 100)]
    rows: list[Figures] = []
    for name in TIDEMARKS:
        async with connected(prepared, name, topics * 10) as (running, load, process, _):
            rows.append(
                {"": name, **await deliver(running, load, process, topics, int(200 * scale) or 1, 20)}
            )
    return rows


async def idle_then_one(prepared: Prepared, scale: float) -> list[Figures]:
    """5,000 idle connections, then one change."""
    count = int(5000 * scale)
    rows: list[Figures] = []
    for name in TIDEMARKS:
        topics = ["entries.1"] * count
        async with connected(prepared, name, topics) as (running, load, process, memory):
            await asyncio.sleep(10 * scale)  # work left from the handshakes would count as idle CPU
            figures = await deliver(running, load, process, topics[:1], 3, 0.5)
            rows.append(
                {"": name, "connections": count, **figures, "KiB each": memory,
                 "connects/s": count / (load.opened_in or 1)}
            )  # fmt: skip
    return rows


async def burst(prepared: Prepared, scale: float) -> list[Figures]:
    """1,000 changes of one row as fast as they commit, 200 subscribers: each must receive the last one."""
    changes, count = int(1000 * scale), 200
    rows: list[Figures] = []
    for name in TIDEMARKS:
        async with connected(prepared, name, ["entries.1"] * count) as (running, load, process, _):

            def write(running: Running = running) -> None:
                for number in range(changes):
                    running.change("entries.1", f"number {number}")

            used, began = cpu(process), time.perf_counter()
            await asyncio.to_thread(write)
            written = time.perf_counter() - began
            last = f'"number {changes - 1}"'.encode()

            def is_last(client: Client, last: bytes = last) -> bool:
                return last in client.latest

            while not all(map(is_last, load.clients)) and time.perf_counter() - began < 60:
                await asyncio.sleep(0.005)
            rows.append({
                "": name,
                "writes/s": changes / written,
                "all current after the last, ms": 1000 * (time.perf_counter() - began - written),
                "messages each": len(load.arrivals.times) / count,
                "bytes each": load.arrivals.bytes / count,
                "CPU s": cpu(process) - used,
                "current": f"{sum(map(is_last, load.clients))} of {count}",
            })  # fmt: skip
    return rows


async def resume_storm(prepared: Prepared, scale: float) -> list[Figures]:
    """5,000 clients; the server is killed and started again and a row changes meanwhile; all clients resume."""
    count = int(5000 * scale)
    rows: list[Figures] = []
    for name in TIDEMARKS:
        async with connected(prepared, name, ["entries.1"] * count) as (running, load, _, _):
            server = running.server
            assert server is not None
            server.stop(9)
            await asyncio.sleep(0.5)
            running.change("entries.1", "written meanwhile")
            began = time.perf_counter()
            server_up = asyncio.create_task(asyncio.to_thread(server.start))
            try:
                handshakes = await reconnect(load, running.url, _has_the_change, 60)
            except TimeoutError:
                handshakes = 0
            seconds = time.perf_counter() - began
            await server_up
            rows.append({
                "": name,
                "clients": count,
                "all back after, s": seconds,
                "lost": count - sum(map(_has_the_change, load.clients)),
                "handshakes": handshakes,
                "server CPU s": cpu(psutil.Process(_pid(server))),
            })  # fmt: skip
    return rows


def _has_the_change(client: Client) -> bool:
    return b"written meanwhile" in client.latest


def _pid(server: Server) -> int:
    assert server.process is not None
    return server.process.pid


async def stalled_readers(prepared: Prepared, scale: float) -> list[Figures]:
    """200 clients, 20 changes per second of 20 KB; then the same with stalled clients that do not read."""
    rows: list[Figures] = []
    for name in TIDEMARKS:
        topics = ["entries.1"] * 200
        async with connected(prepared, name, topics) as (running, load, process, _):
            for stalled in (0, 1, 20):
                with contextlib.ExitStack() as stack:
                    for _ in range(stalled):
                        assert running.server is not None
                        opened = await asyncio.to_thread(stalled_socket, running.server)
                        stack.enter_context(contextlib.closing(opened))
                    before = process.memory_info().rss
                    figures = await deliver(
                        running, load, process, topics[:1], int(200 * scale) or 1, 20, "x" * 20_000
                    )
                    grown = (process.memory_info().rss - before) / MIB
                    rows.append({
                        "": name, "stalled": stalled, "p50 ms": figures["p50 ms"], "p99 ms": figures["p99 ms"],
                        "delivered %": figures["delivered %"], "MiB more": grown,
                    })  # fmt: skip
    return rows


async def growth(prepared: Prepared, scale: float) -> list[Figures]:
    """A growing number of subscribers at 2 changes per second, and a growing rate with 300 subscribers."""
    rows: list[Figures] = []
    shapes = [(int(count * scale), 2.0) for count in (100, 300, 1000, 3000, 5000)]
    shapes += [(int(300 * scale), rate) for rate in (5.0, 20.0, 50.0)]
    for name in TIDEMARKS:
        for count, rate in shapes:
            topics = ["entries.1"] * count
            async with connected(prepared, name, topics) as (running, load, process, _):
                changes = max(1, int(min(50, 5 * rate) * scale))
                figures = await deliver(running, load, process, topics[:1], changes, rate)
                rows.append({"": name, "subscribers": count, "changes/s": rate, **{
                    column: figures[column] for column in ("CPU per delivery, µs", "p50 ms", "p99 ms", "delivered %")
                }})  # fmt: skip
    return rows


async def one_client(prepared: Prepared, scale: float) -> list[Figures]:
    """From the commit to one client, on daphne: by another process, and by a form in the admin of the same process."""
    found: dict[str, list[float]] = {"another process": [], "a form saved in the admin": []}
    async with connected(prepared, "daphne", ["entries.1"]) as (running, load, _, _):
        for number in range(int(200 * scale)):
            await asyncio.sleep(0.03 + (number * 37 % 50) / 1000)  # at any phase of the tick
            value = f"change {number}"
            committed = running.change("entries.1", value)
            arrived = await load.until_latest(f'"{value}"'.encode())
            found["another process"].append(1000 * (arrived - committed))
        assert running.server is not None
        admin = await asyncio.to_thread(Editor, running.server.url)
        for number in range(int(60 * scale)):
            label = f"save {number}"
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
    return [{"": title, **latency(milliseconds)} for title, milliseconds in found.items()]


async def hostile(prepared: Prepared, scale: float) -> list[Figures]:
    """20 clients, 10 changes per second, without an attack and under each: daphne, guarded uvicorn, plain uvicorn."""
    seconds, readers, changes = 8 * scale, 20, max(1, int(80 * scale))
    rows: list[Figures] = []
    for name in ("daphne", "guarded", "uvicorn"):
        with prepared.run(name, MAX_CONNECTIONS_PER_ADDRESS="200") as running:
            assert running.server is not None
            process, load = psutil.Process(running.pid), Load(running.url)
            await load.open(["entries.1"] * readers)
            for attack in (None, *attacks.ATTACKS):
                before = process.memory_info().rss
                async with contextlib.AsyncExitStack() as stack:
                    if attack is not None:
                        address = (running.server.host, running.server.port)
                        running_attack = stack.enter_context(attacks.running(attack, address, seconds))
                    latencies = await make(running, load, ["entries.1"], changes, 10)
                    if attack is not None:
                        await asyncio.to_thread(running_attack.result)
                await asyncio.sleep(2)
                rows.append({
                    "": name, "attack": attack or "none", **latency(latencies),
                    "delivered %": 100 * len(latencies) / (readers * changes),
                    "MiB more after": (process.memory_info().rss - before) / MIB,
                })  # fmt: skip
            load.close()
    return rows


async def closing(prepared: Prepared, scale: float) -> list[Figures]:
    """5,000 visitors lose a topic, by SQL, in the transaction that also writes a row of it."""
    rows: list[Figures] = []
    for name in TIDEMARKS:
        topics = ["entries.1"] * int(5000 * scale)
        async with connected(prepared, name, topics) as (running, load, process, _):
            assert running.server is not None
            used = cpu(process)
            with contextlib.closing(running.server.project.connect()) as database:
                database.execute("BEGIN")
                database.execute("UPDATE boards_entry SET value = 'secret' WHERE board_id = 1")
                database.execute("UPDATE boards_board SET is_public = false WHERE id = 1")
                database.execute("COMMIT")
            committed = time.perf_counter()
            refused = load.arrivals.refused
            while len(refused) < len(topics) and time.perf_counter() < committed + 60:
                await asyncio.sleep(0.005)
            figures = latency([1000 * (arrival - committed) for arrival in refused])
            rows.append(
                {
                    "": name,
                    **figures,
                    "refused %": 100 * len(refused) / len(topics),
                    "sent the row": float(len(load.arrivals.times)),
                    "CPU per refusal, µs": 1e6 * (cpu(process) - used) / max(1, len(refused)),
                }
            )
    return rows


SCENARIOS = {
    "closing": closing,
    "one-client": one_client,
    "fan-out": fan_out,
    "many-topics": many_topics,
    "idle-then-one": idle_then_one,
    "burst": burst,
    "resume-storm": resume_storm,
    "stalled-readers": stalled_readers,
    "growth": growth,
    "hostile": hostile,
}
