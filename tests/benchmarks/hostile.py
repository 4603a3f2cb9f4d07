"""Attacks: how long honest clients wait while another process attacks their server."""

import asyncio
import contextlib

import psutil

from tests.support import attacks

from . import contestants
from .bench import DEFAULTS, Bench
from .delivery import make
from .load import Load
from .outcome import Outcome, latency

MIB = 2**20
SECONDS = 4.0


async def on_daphne(bench: Bench, out: Outcome) -> None:
    """20 clients, 10 changes per second, without an attack and under each, on daphne."""
    await _attacked(bench, out, "daphne")


async def on_guarded_uvicorn(bench: Bench, out: Outcome) -> None:
    """The same on uvicorn with the guards of docs/deploy.md."""
    await _attacked(bench, out, "guarded")


async def _attacked(bench: Bench, out: Outcome, name: str) -> None:
    readers, changes = 20, bench.count(40)
    names = [*attacks.ATTACKS][:1] if bench.is_tiny else [*attacks.ATTACKS]
    # A tiny run shares its server with other scenarios, which need more connections of one address.
    limit = DEFAULTS["MAX_CONNECTIONS_PER_ADDRESS"] if bench.is_tiny else "200"
    with contestants.run(bench, name, MAX_CONNECTIONS_PER_ADDRESS=limit) as running:
        assert running.server is not None
        process, load = psutil.Process(running.pid), Load(running.url, settle_seconds=bench.seconds(1))
        await load.open(["entries.1"] * readers)
        for attack in (None, *names):
            with out.tolerating(f"{name}, {attack}"):
                before = process.memory_info().rss
                async with contextlib.AsyncExitStack() as stack:
                    if attack is not None:
                        address = (running.server.host, running.server.port)
                        seconds = bench.seconds(SECONDS)
                        under_way = stack.enter_context(attacks.running(attack, address, seconds))
                    latencies = await make(running, load, ["entries.1"], changes, 10)
                    if attack is not None:
                        await asyncio.to_thread(under_way.result)
                await asyncio.sleep(bench.seconds(1))
                out.add("hostile", {
                    "": name, "attack": attack or "none", **latency(latencies),
                    "delivered %": 100 * len(latencies) / (readers * changes),
                    "MiB more after": (process.memory_info().rss - before) / MIB,
                })  # fmt: skip
        load.close()
