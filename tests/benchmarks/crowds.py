"""Crowds: thousands of clients that are idle, come back, lose their topic, do not read, or follow a burst."""

import asyncio
import contextlib
import time

import psutil

from tests.support.servers import Server
from tests.support.stalled import stalled_socket

from . import contestants
from .bench import Bench, Direct, cpu
from .contestants import Running
from .delivery import connected, deliver
from .load import Client, reconnect
from .outcome import Budget, Outcome, latency, number

MIB = 2**20
BACK_SECONDS = {"uvicorn": 6.0, "daphne": 12.0}


async def many_topics(bench: Bench, out: Outcome) -> None:
    """100 topics with 10 subscribers each, 20 changes per second."""
    topics = contestants.topics(bench.count(100))
    for name in contestants.tidemarks(bench):
        with out.tolerating(name):
            async with connected(bench, name, topics * 10) as (running, load, process, _):
                figures = await deliver(bench, running, load, process, topics, bench.count(200), 20)
                out.add("many-topics", {"": name, **figures})


async def idle_then_one(bench: Bench, out: Outcome) -> None:
    """5,000 idle connections, then one change."""
    count = bench.count(5000, 10)
    for name in contestants.tidemarks(bench):
        with out.tolerating(name):
            topics = ["entries.1"] * count
            async with connected(bench, name, topics) as (running, load, process, memory):
                # Work left from the handshakes would count as idle CPU.
                await asyncio.sleep(bench.seconds(10))
                figures = await deliver(bench, running, load, process, topics[:1], bench.count(3), 0.5)
                out.add(
                    "idle-then-one",
                    {"": name, "connections": count, **figures, "KiB each": memory,
                     "connects/s": count / (load.opened_in or 1)},
                )  # fmt: skip


async def burst(bench: Bench, out: Outcome) -> None:
    """1,000 changes of one row as fast as they commit, 200 subscribers: each must receive the last one."""
    changes, count = bench.count(1000), bench.count(200, 10)
    for name in contestants.tidemarks(bench):
        with out.tolerating(name):
            async with connected(bench, name, ["entries.1"] * count) as (running, load, process, _):

                def write(running: Running = running) -> None:
                    for turn in range(changes):
                        running.change("entries.1", f"number {turn}")

                used, began = cpu(process), time.perf_counter()
                await asyncio.to_thread(write)
                written = time.perf_counter() - began
                last = f'"number {changes - 1}"'.encode()

                def is_last(client: Client, last: bytes = last) -> bool:
                    return last in client.latest

                while not all(map(is_last, load.clients)) and time.perf_counter() - began < 60:
                    await asyncio.sleep(0.005)
                out.add("burst", {
                    "": name,
                    "writes/s": changes / written,
                    "all current after the last, ms": 1000 * (time.perf_counter() - began - written),
                    "messages each": len(load.arrivals.times) / count,
                    "bytes each": load.arrivals.bytes / count,
                    "CPU s": cpu(process) - used,
                    "current": f"{sum(map(is_last, load.clients))} of {count}",
                })  # fmt: skip


async def resume_storm(bench: Bench, out: Outcome) -> None:
    """5,000 clients; the server is killed and started again and a row changes meanwhile; all clients resume."""
    count = bench.count(5000, 10)
    for name in contestants.tidemarks(bench):
        with out.tolerating(name):
            async with connected(bench, name, ["entries.1"] * count, alone=True) as (running, load, _, _):
                server = running.server
                assert server is not None
                server.stop(9)
                await asyncio.sleep(bench.seconds(0.5))
                running.change("entries.1", "written meanwhile")
                began = time.perf_counter()
                server_up = asyncio.create_task(asyncio.to_thread(server.start))
                try:
                    handshakes = await reconnect(load, running.url, _has_the_change, 60)
                except TimeoutError:
                    handshakes = 0
                seconds = time.perf_counter() - began
                await server_up
                started = cpu(psutil.Process(_pid(server)))
                lost = count - sum(map(_has_the_change, load.clients))
                out.add("resume-storm", {
                    "": name, "clients": count, "all back after, s": seconds, "lost": lost,
                    "handshakes": handshakes, "server CPU s": started,
                })  # fmt: skip
                what = f"{count:,} clients back after kill -9, {name}"
                baseline = f"{number(started)} s of the server's CPU, {handshakes:,} handshakes"
                out.judge(Budget(what, seconds, BACK_SECONDS[name], "s", baseline))
                out.judge(Budget(f"{what}: lost", lost, 0, "clients"))


def _has_the_change(client: Client) -> bool:
    return b"written meanwhile" in client.latest


def _pid(server: Server) -> int:
    assert server.process is not None
    return server.process.pid


async def stalled_readers(bench: Bench, out: Outcome) -> None:
    """200 clients, 20 changes per second of 20 KB; then the same with stalled clients that do not read."""
    for name in contestants.tidemarks(bench):
        with out.tolerating(name):
            topics = ["entries.1"] * bench.count(200, 10)
            async with connected(bench, name, topics) as (running, load, process, _):
                for stalled in (0, 1) if bench.is_tiny else (0, 1, 20):
                    with contextlib.ExitStack() as stack:
                        for _ in range(stalled):
                            assert running.server is not None
                            opened = await asyncio.to_thread(stalled_socket, running.server)
                            stack.enter_context(contextlib.closing(opened))
                        before = process.memory_info().rss
                        figures = await deliver(
                            bench, running, load, process, topics[:1], bench.count(200), 20, "x" * 20_000
                        )
                        grown = (process.memory_info().rss - before) / MIB
                        out.add("stalled-readers", {
                            "": name, "stalled": stalled, "p50 ms": figures["p50 ms"],
                            "p99 ms": figures["p99 ms"], "delivered %": figures["delivered %"], "MiB more": grown,
                        })  # fmt: skip


async def closing(bench: Bench, out: Outcome) -> None:
    """5,000 visitors lose a topic, by SQL, in the transaction that also writes a row of it."""
    for name in contestants.tidemarks(bench):
        with out.tolerating(name):
            topics = ["entries.2"] * bench.count(5000, 10)
            async with connected(bench, name, topics) as (running, load, process, _):
                assert running.server is not None
                used = cpu(process)
                with contextlib.closing(Direct(running.server.project)) as database:
                    database.execute("BEGIN")
                    database.execute("UPDATE boards_entry SET value = 'secret' WHERE board_id = 2")
                    database.execute("UPDATE boards_board SET is_public = false WHERE id = 2")
                    database.execute("COMMIT")
                committed = time.perf_counter()
                refused = load.arrivals.refused
                while len(refused) < len(topics) and time.perf_counter() < committed + 60:
                    await asyncio.sleep(0.005)
                figures = latency([1000 * (arrival - committed) for arrival in refused])
                out.add("closing", {
                    "": name,
                    **figures,
                    "refused %": 100 * len(refused) / len(topics),
                    "sent the row": float(len(load.arrivals.times)),
                    "CPU per refusal, µs": 1e6 * (cpu(process) - used) / max(1, len(refused)),
                })  # fmt: skip
