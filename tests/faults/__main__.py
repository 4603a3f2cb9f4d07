"""``make faults SEED=1 SECONDS=600 [FAULTS=name,name] [DATABASE=sqlite]``: faults in a random order for a time.

Prints each fault with its time, and the figures of the run. After a violation it repeats the same seed with fewer
faults, a few times, to find a short command that reproduces it.
"""

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("FREEZE_SECONDS", "10")
os.environ.setdefault("OPEN_SECONDS", "30")

from tests.faults.faults import EMBEDDED, FAULTS
from tests.faults.world import Distributed, Embedded, Figures

WORLDS = {"postgresql": (Distributed, FAULTS), "sqlite": (Embedded, EMBEDDED)}
SHRINKING_RUNS = 6


async def run(database: str, seed: int, seconds: float, names: list[str]) -> tuple[Figures, list[str]]:
    """Strike until the time is over or there is a violation; return the figures and the faults that struck."""
    chance = random.Random(seed)
    struck: list[str] = []
    shape, faults = WORLDS[database]
    with tempfile.TemporaryDirectory(prefix="tidemark-faults-") as folder:
        async with shape(Path(folder), seed) as world:
            began = time.monotonic()
            waiting: list[str] = []
            while time.monotonic() - began < seconds and not world.violations:
                # Each fault strikes once before any strikes again.
                waiting = waiting or chance.sample(names, len(names))
                name = waiting.pop()
                print(f"{time.monotonic() - began:7.1f} s  {name}", flush=True)
                struck.append(name)
                await world.strike(name, faults[name])
                await asyncio.sleep(chance.random() * 2)
                await world.compare()
            return await world.settle(), struck


def shrink(database: str, seed: int, struck: list[str], seconds: float = 40) -> list[str]:
    """Return a subset of the faults that still causes the violation, as far as a few runs can find one."""
    kinds = list(dict.fromkeys(reversed(struck)))  # the last one first: it is the most likely cause
    runs = SHRINKING_RUNS
    while len(kinds) > 1:
        middle = (len(kinds) + 1) // 2
        for half in (kinds[:middle], kinds[middle:]):
            if not runs:
                return kinds
            runs -= 1
            print(f"again with {', '.join(half)}", flush=True)
            figures, _ = asyncio.run(run(database, seed, seconds, half))
            if not figures.is_clean:
                kinds = half
                break
        else:
            break  # it needs faults of both halves
    return kinds


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--faults", default="", help="comma-separated names; default: all")
    parser.add_argument("--database", choices=WORLDS, default="postgresql")
    arguments = parser.parse_args()
    known = WORLDS[arguments.database][1]
    names = [name for name in arguments.faults.split(",") if name] or list(known)
    if unknown := set(names) - set(known):
        parser.error(f"unknown faults: {', '.join(sorted(unknown))}; choose from: {', '.join(known)}")
    # SIGTERM must also stop the processes that this run started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    figures, struck = asyncio.run(run(arguments.database, arguments.seed, arguments.seconds, names))
    print(f"seed {arguments.seed}, {arguments.seconds:g} s\n\n{figures.markdown()}")
    if not figures.is_clean:
        kinds = shrink(arguments.database, arguments.seed, struck)
        print(
            f"repeat: make faults DATABASE={arguments.database} SEED={arguments.seed} SECONDS=60 "
            f"FAULTS={','.join(kinds)}"
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
