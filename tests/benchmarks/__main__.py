"""Runs the benchmark, or parts of it: ``make bench PART=delivery``.

    python -m tests.benchmarks                                    # lists the parts
    python -m tests.benchmarks --part delivery --part floods
    python -m tests.benchmarks --part all --resume                # goes on where a run has ended
    python -m tests.benchmarks --scenario fan-out --scale 0.1     # a tenth of the load

A scenario that fails is reported, and the next one begins. After each its results are written to ``var/bench.json``;
``python -m tests.benchmarks.report`` writes them into the documents. Servers and load run in processes of their own, on
loopback only, and are bounded in number and time.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from . import results
from .bench import Bench
from .load import allow_many_files
from .outcome import Outcome, table
from .parts import PARTS, SCENARIOS, Scenario

SCENARIO_SECONDS = 420
"""The longest time of a scenario; each is meant to take far less."""


def say(words: str) -> None:
    print(words, flush=True)


def run(bench: Bench, name: str, scenario: Scenario) -> Outcome:
    """Run a scenario and return what it has measured, also if it fails."""
    out = Outcome(say=bench.say)

    async def within_its_time() -> None:
        async with asyncio.timeout(SCENARIO_SECONDS):
            await scenario(bench, out)

    with out.tolerating(name):
        asyncio.run(within_its_time())
    return out


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", action="append", default=[], choices=[*PARTS, "all"])
    parser.add_argument("--scenario", action="append", default=[], choices=[*SCENARIOS])
    parser.add_argument(
        "--scale", type=float, default=1, help="factor for the number of connections and changes"
    )
    parser.add_argument(
        "--resume", action="store_true", help="leave out what this commit has measured without an error"
    )
    parser.add_argument("--results", type=Path, default=results.FILE, help="JSON file for the results")
    options = parser.parse_args(arguments)

    parts = list(PARTS) if "all" in options.part else options.part
    chosen = [name for part in parts for name in PARTS[part]] + options.scenario
    if not chosen:
        for part, scenarios in PARTS.items():
            say(f"{part:<18} {', '.join(scenarios)}")
        say("\nmake bench PART=… runs one of these, PART=all all of them")
        return 0
    allow_many_files()
    about = results.surroundings(options.scale)
    say(", ".join(f"{name} {value}" for name, value in about.pop("machine").items()))
    failed: list[str] = []
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tidemark-bench-") as folder:
        bench = Bench(Path(folder), options.scale, say=say)
        try:
            for place, name in enumerate(chosen, 1):
                known = results.read(options.results).get(name)
                if (
                    options.resume
                    and known
                    and not known["errors"]
                    and _is_of_this_run(known["about"], about)
                ):
                    say(f"[{place}/{len(chosen)}] {name}: measured already")
                    continue
                scenario = SCENARIOS[name][1]
                say(
                    f"[{place}/{len(chosen)}] {name} ({time.monotonic() - began:.0f} s so far): {scenario.__doc__}"
                )
                around = results.surroundings(options.scale)
                start = time.monotonic()
                out = run(bench, name, scenario)
                for rows in out.tables.values():
                    say(f"\n{table(rows)}\n")
                result = {"about": around, "seconds": round(time.monotonic() - start), **out.as_json()}
                results.write(name, result, options.results)
                failed += out.errors
        finally:
            bench.close()
    say(f"{time.monotonic() - began:.0f} s" + "".join(f"\nFAILED {error}" for error in failed))
    return 1 if failed else 0


def _is_of_this_run(known: dict[str, object], about: dict[str, object]) -> bool:
    return all(known[name] == about[name] for name in ("commit", "scale"))


if __name__ == "__main__":
    sys.exit(main())
