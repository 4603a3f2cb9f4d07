"""``make chaos SECONDS=600``: a feed that fails at random, one that is slow, one with rows that cannot be rendered.

No process fails. The healthy feeds must not notice: prints how long their changes take, and for how long any page was
wrong and said that it was live.
"""

import argparse
import asyncio
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.apps.faulty.switches import FAILING_FILE, SLOW_FILE, UNRENDERABLE
from tests.faults.faults import LONG_NAME
from tests.faults.pulse import TOPIC, Pulse
from tests.faults.world import READING_SECONDS, Distributed, Embedded, Figures, World

FAILING_SHARE = 0.3
BEAT_SECONDS = 0.1
PULSE_VIEWERS = 6
MAX_P99_SECONDS = 0.25
"""The budget on a machine that does nothing else."""
WORLDS = {"postgresql": Distributed, "sqlite": Embedded}
BAD_ITEMS = (
    f"INSERT INTO faulty_item (shelf, name, is_bad) VALUES ('a', '{UNRENDERABLE}', TRUE)",
    f"INSERT INTO faulty_item (shelf, name, is_bad) VALUES ('b', '{UNRENDERABLE}', TRUE)",
    f"INSERT INTO faulty_item (shelf, name, is_bad) VALUES ('{'x' * LONG_NAME}', 'long', TRUE)",
    f"UPDATE faulty_item SET name = '{UNRENDERABLE}', is_bad = TRUE "
    "WHERE id = (SELECT min(id) FROM faulty_item WHERE NOT is_bad)",
    "UPDATE faulty_item SET name = 'good again', is_bad = FALSE "
    "WHERE id = (SELECT min(id) FROM faulty_item WHERE is_bad AND shelf IN ('a', 'b'))",
    "DELETE FROM faulty_item WHERE id = (SELECT min(id) FROM faulty_item WHERE is_bad)",
    "DELETE FROM faulty_item WHERE id = (SELECT max(id) FROM faulty_item WHERE is_bad)",
    "INSERT INTO realtime_outboxrow (source, image) VALUES ('realtime.notice', NULL), ('faulty_item', '[1]')",
)
"""A write of an application that stores a value which its template cannot show."""


async def cause_chaos(world: World, seconds: float) -> tuple[Figures, Pulse]:
    """Let the feeds fail for some time under load; return the figures after they are right again."""
    pulse = Pulse(world.connect)
    chance = random.Random(world.chance.random())
    watchers = [world.guest(TOPIC, on_change=pulse.seen) for _ in range(PULSE_VIEWERS)]
    world.guests += watchers
    await world.until(lambda: all(viewer.replica.position for viewer in watchers), "first snapshots")

    async def write_bad_items() -> None:
        while True:
            await asyncio.to_thread(world.execute, chance.choice(BAD_ITEMS))
            await asyncio.sleep(chance.random())

    async def beat() -> None:
        while True:
            await asyncio.to_thread(pulse.beat)
            await asyncio.sleep(BEAT_SECONDS)

    with world.switched(FAILING_FILE, FAILING_SHARE), world.switched(SLOW_FILE, READING_SECONDS):
        tasks = [asyncio.create_task(write_bad_items()), asyncio.create_task(beat())]
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        for task in done:
            task.result()
        await asyncio.gather(*tasks, return_exceptions=True)
    return await world.settle(), pulse


def markdown(pulse: Pulse, world: World) -> str:
    """Return what the healthy feed and the failing ones did, as a table."""
    errors = sum(len(viewer.replica.errors) for viewer in world.guests)
    rows = {
        "changes of the healthy feed that its viewers showed": len(pulse.latencies),
        "commit to viewer, p50": f"{pulse.percentile(50) * 1000:.0f} ms",
        "commit to viewer, p99": f"{pulse.percentile(99) * 1000:.0f} ms",
        "commit to viewer, longest": f"{max(pulse.latencies, default=0.0) * 1000:.0f} ms",
        "messages that a topic cannot be read": errors,
    }
    return "\n".join(
        ["| what | figure |", "|---|---|", *(f"| {what} | {figure} |" for what, figure in rows.items())]
    )


def faults_in(figures: Figures, pulse: Pulse) -> list[str]:
    """Return what was not as promised, a sentence for each."""
    found: list[str] = []
    if figures.findings.violations:
        found.append(f"{len(figures.findings.violations)} pages were wrong, or wrong and live for too long")
    if figures.missing:
        found.append(f"{figures.missing} pages never had the rows of SELECT")
    if not (figures.findings.checked and figures.samples and pulse.latencies):
        found.append("nothing was compared")
    if pulse.percentile(99) > MAX_P99_SECONDS:
        budget = f"{MAX_P99_SECONDS * 1000:.0f} ms, the budget of an otherwise idle machine"
        found.append(f"commit to viewer, p99, is {pulse.percentile(99) * 1000:.0f} ms, over {budget}")
    return found


async def run(database: str, seed: int, seconds: float) -> bool:
    """Return whether every page was right, and the healthy feed within its budget."""
    with tempfile.TemporaryDirectory(prefix="tidemark-chaos-") as folder:
        began = time.monotonic()
        async with WORLDS[database](Path(folder), seed) as world:
            figures, pulse = await cause_chaos(world, seconds)
            print(f"{database}, seed {seed}, {time.monotonic() - began:.0f} s\n\n{markdown(pulse, world)}\n")
            print(figures.markdown(), flush=True)
    found = faults_in(figures, pulse)
    print("\n".join([f"FAILED {database}: {fault}" for fault in found] or [f"PASSED {database}"]), flush=True)
    return not found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--database", choices=WORLDS, help="default: one after the other")
    arguments = parser.parse_args()
    # SIGTERM must also stop the processes that this run started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    databases = [arguments.database] if arguments.database else list(WORLDS)
    results = [asyncio.run(run(database, arguments.seed, arguments.seconds)) for database in databases]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
