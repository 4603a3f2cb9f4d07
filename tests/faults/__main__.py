"""``make faults SEED=1 SECONDS=600 [FAULTS=name,name]``: faults in a random order until the time is over.

Prints what strikes when and its figures. After a violation it runs the same seed with fewer faults, a few
times, to find a short way to repeat it.
"""

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("FREEZE_SECONDS", "10")
os.environ.setdefault("OPEN_SECONDS", "30")

from tests.faults.faults import FAULTS
from tests.faults.world import Figures, World

SHRINKING_RUNS = 6


async def run(seed: int, seconds: float, names: list[str]) -> tuple[Figures, list[str]]:
    """Strike until the time is over or something is wrong; return figures and what has struck."""
    chance, struck = random.Random(seed), []
    with tempfile.TemporaryDirectory(prefix="tidemark-faults-") as folder:
        async with World(Path(folder), seed) as world:
            began = time.monotonic()
            waiting: list[str] = []
            while time.monotonic() - began < seconds and not world.oracle.findings.violations:
                # Each of them once before any comes again.
                waiting = waiting or chance.sample(names, len(names))
                name = waiting.pop()
                print(f"{time.monotonic() - began:7.1f} s  {name}", flush=True)
                struck.append(name)
                await world.strike(name, FAULTS[name])
                await asyncio.sleep(chance.random() * 2)
                await world.compare()
            return await world.settle(), struck


def report(figures: Figures, seed: int, seconds: float) -> str:
    findings = figures.findings
    rows = {
        "seed, seconds": f"{seed}, {seconds:g}",
        "faults": f"{sum(figures.faults.values())} of {len(figures.faults)} kinds",
        "writes committed": figures.writes,
        "messages that changed a viewer's rows": findings.messages,
        "distinct states compared with the database": findings.checked,
        "states at positions between two batches, compared with other viewers alone": findings.unknown,
        "viewers that never came to SELECT": figures.missing,
        "violations": len(findings.violations),
        "seconds from the last write to all viewers equal": round(figures.converged_seconds, 2),
        "connections made": figures.connections,
    }
    lines = ["| what | figure |", "|---|---|", *(f"| {what} | {figure} |" for what, figure in rows.items())]
    return "\n".join([*lines, *(f"VIOLATION {words}" for words in findings.violations)])


def shrink(seed: int, struck: list[str]) -> list[str]:
    """Return fewer kinds of faults that still bring the violation about, where a few runs find them."""
    kinds = list(dict.fromkeys(reversed(struck)))  # the last one first: it is the likeliest
    seconds = 40.0
    for _ in range(SHRINKING_RUNS):
        if len(kinds) == 1:
            break
        half = kinds[: (len(kinds) + 1) // 2]
        print(f"again with {', '.join(half)}", flush=True)
        figures, _ = asyncio.run(run(seed, seconds, half))
        if figures.is_clean:
            break
        kinds = half
    return kinds


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--faults", default="", help="comma-separated names; all when left out")
    arguments = parser.parse_args()
    names = [name for name in arguments.faults.split(",") if name] or list(FAULTS)
    if unknown := set(names) - set(FAULTS):
        parser.error(f"no such faults: {', '.join(sorted(unknown))}; there are: {', '.join(FAULTS)}")
    figures, struck = asyncio.run(run(arguments.seed, arguments.seconds, names))
    print(report(figures, arguments.seed, arguments.seconds))
    if not figures.is_clean:
        kinds = shrink(arguments.seed, struck)
        print(f"repeat: make faults SEED={arguments.seed} SECONDS=60 FAULTS={','.join(kinds)}")
        sys.exit(1)


if __name__ == "__main__":
    main()
