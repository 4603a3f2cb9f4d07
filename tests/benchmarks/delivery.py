"""What a delivery costs and how long a change takes; ``make bench``. Prints Markdown.

    python -m tests.benchmarks.delivery [--subscribers 1000] [--changes 50] [--rate 5]

Server and load run in processes of their own. CPU is the server's, without what it uses idle with the same
connections. Latency ends at the load client; it includes the load client's own work, which is printed.
"""

import argparse
import asyncio
import contextlib
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path

import psutil
from picows import WSListener, WSMsgType, ws_connect

from tests import servers
from tests.editor import Editor
from tests.servers import ROOT, free_port

SUBSCRIBE = b'{"type":"subscribe","topic":"entries.1"}'


class Subscriber(WSListener):
    """Counts change messages and notes when each came."""

    arrivals: list[float] = []
    last: bytes = b""

    def on_ws_connected(self, transport) -> None:
        transport.send(WSMsgType.TEXT, SUBSCRIBE)

    def on_ws_frame(self, transport, frame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            payload = frame.get_payload_as_bytes()
            if b'"changes"' in payload[:20]:
                Subscriber.arrivals.append(time.perf_counter())
                Subscriber.last = payload


async def subscribe(url: str, count: int) -> list:
    """Open sockets, fifty at a time; return their transports once they have settled."""
    transports = []
    for start in range(0, count, 50):
        opened = [ws_connect(Subscriber, url) for _ in range(min(50, count - start))]
        transports += [transport for transport, _ in await asyncio.gather(*opened)]
    await asyncio.sleep(2)
    return transports


async def burst(
    process: psutil.Process, change: Callable[[], float], sockets: int, options
) -> dict[str, float]:
    """Make changes at the rate and return what each delivery cost; ``change`` returns when it was committed."""
    load = psutil.Process()
    idle_cpu = cpu(process)
    await asyncio.sleep(5)
    idle_cpu = (cpu(process) - idle_cpu) / 5
    Subscriber.arrivals.clear()
    latencies: list[float] = []
    began, before, load_before = time.perf_counter(), cpu(process), cpu(load)
    for number in range(options.changes):
        due = began + number / options.rate
        await asyncio.sleep(max(0, due - time.perf_counter()))
        first = len(Subscriber.arrivals)
        committed = await asyncio.to_thread(change)
        while len(Subscriber.arrivals) < first + sockets and time.perf_counter() < committed + 10:
            await asyncio.sleep(0.001)
        latencies += [1000 * (arrival - committed) for arrival in Subscriber.arrivals[first:]]
    seconds = time.perf_counter() - began
    used = cpu(process) - before - idle_cpu * seconds
    latencies.sort()
    return {
        "us": 1e6 * used / len(latencies),
        "p50": latencies[len(latencies) // 2],
        "p99": latencies[len(latencies) * 99 // 100],
        "delivered": len(latencies) / (sockets * options.changes),
        "idle": 100 * idle_cpu,
        "load": 1e6 * (cpu(load) - load_before) / len(latencies),
    }


def cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


async def measure(url: str, pid: int, change: Callable[[], float], options) -> dict[str, float]:
    process = psutil.Process(pid)
    before = process.memory_info().rss
    transports = await subscribe(url, options.subscribers)
    memory = (process.memory_info().rss - before) / options.subscribers / 1024
    measured = await burst(process, change, options.subscribers, options)
    for transport in transports:
        transport.disconnect(False)
    return {**measured, "memory": memory}


async def tidemark(name: str, prepared: servers.Project, folder: Path, options) -> dict[str, float]:
    project = servers.copy(prepared, folder / name, LOG_LEVEL="WARNING")
    database = project.connect()
    numbers = iter(range(10**6))

    def change() -> float:
        database.execute("UPDATE boards_entry SET value = ? WHERE id = 1", [str(next(numbers))])
        return time.perf_counter()

    with servers.running(project, name) as server:
        return await measure(server.socket_url, server.process.pid, change, options)


@contextlib.contextmanager
def baseline(name: str) -> Iterator[tuple[int, int]]:
    """Run a baseline and yield its port and process id."""
    port = free_port()
    application = "tests.benchmarks.baselines:application"
    commands = {
        "floor": ["tests.benchmarks.baselines", str(port)],
        "daphne": [
            "daphne",
            "-v",
            "0",
            "-e",
            f"tcp:port={port}:interface=127.0.0.1:backlog=4096",
            application,
        ],
        "uvicorn": ["uvicorn", application, "--port", str(port), "--backlog", "4096", "--log-level", "error"],
    }
    process = subprocess.Popen([sys.executable, "-m", *commands[name]], cwd=ROOT)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
                break
            time.sleep(0.05)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(timeout=20)


async def compared(name: str, options) -> dict[str, float]:
    with baseline(name) as (port, pid):

        def change() -> float:
            asked = time.perf_counter()
            urllib.request.urlopen(f"http://127.0.0.1:{port}/send", timeout=30).close()
            return asked

        return await measure(f"ws://127.0.0.1:{port}/", pid, change, options)


async def latency(prepared: servers.Project, folder: Path) -> dict[str, list[float]]:
    """Return milliseconds from commit to one client: for the admin's own form and for another process."""
    project = servers.copy(prepared, folder / "latency", LOG_LEVEL="WARNING")
    database = project.connect()
    found: dict[str, list[float]] = {"admin save": [], "foreign writer": []}
    with servers.running(project) as server:
        await subscribe(server.socket_url, 1)
        for number in range(200):
            await asyncio.sleep(0.03 + (number * 37 % 50) / 1000)  # any phase of the tick
            before = len(Subscriber.arrivals)
            database.execute("UPDATE boards_entry SET value = ? WHERE id = 1", [str(number)])
            committed = time.perf_counter()
            await _arrival(before)
            found["foreign writer"].append(1000 * (Subscriber.arrivals[-1] - committed))
        admin = await asyncio.to_thread(Editor, server.url)
        for number in range(60):
            before = len(Subscriber.arrivals)
            await asyncio.to_thread(admin.save, f"save {number}")
            await _arrival(before)
            # The row says when it was saved, just before the commit; both clocks are this machine's.
            saved = json.loads(Subscriber.last)["changes"][0]["row"]["updated"]
            since = time.perf_counter() - Subscriber.arrivals[-1]
            arrived = time.time() - since
            found["admin save"].append(1000 * (arrived - datetime.fromisoformat(saved).timestamp()))
    return found


async def _arrival(before: int) -> None:
    while len(Subscriber.arrivals) == before:
        await asyncio.sleep(0.0005)


async def main(options) -> None:
    print(
        f"Python {platform.python_version()}, {psutil.cpu_count()} cores, {options.subscribers} subscribers of one"
    )
    print(f"topic, {options.changes} changes at {options.rate} per second by another process\n")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        prepared = servers.prepare(folder / "prepared")
        scenarios = [("kernel floor", lambda: compared("floor", options))]
        for name in ("uvicorn", "daphne"):
            scenarios.append((f"Tidemark on {name}", partial(tidemark, name, prepared, folder, options)))
            scenarios.append((f"Channels group on {name}", partial(compared, name, options)))
        print("| | CPU per delivery, µs | to floor | p50 ms | p99 ms | delivered | idle CPU % ", end="")
        print("| KiB per connection | load client, µs |\n|---|---|---|---|---|---|---|---|---|")
        floor = None
        for title, scenario in scenarios:
            figures = await scenario()
            floor = floor or figures["us"]
            print(
                f"| {title} | {figures['us']:.1f} | {figures['us'] / floor:.1f} | {figures['p50']:.0f} | "
                f"{figures['p99']:.0f} | {figures['delivered']:.1%} | {figures['idle']:.1f} | "
                f"{figures['memory']:.0f} | {figures['load']:.1f} |",
                flush=True,
            )
        print("\n| commit → one client, daphne | p50 ms | p99 ms |\n|---|---|---|")
        for title, milliseconds in (await latency(prepared, folder)).items():
            cuts = statistics.quantiles(milliseconds, n=100)
            print(f"| {title} | {cuts[49]:.1f} | {cuts[98]:.1f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subscribers", type=int, default=1000)
    parser.add_argument("--changes", type=int, default=50)
    parser.add_argument("--rate", type=float, default=5)
    asyncio.run(main(parser.parse_args()))
