"""The cost of a delivery and the latency of a change, compared with the baselines; part of ``make bench``.

    python -m tests.benchmarks.delivery [--scenario fan-out …] [--scale 1] [--json FILE]

Prints Markdown. Servers and load run in separate processes, on loopback only, and are bounded in number and time.
"""

import argparse
import asyncio
import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import psutil

from .contestants import prepared
from .load import allow_many_files
from .scenarios import SCENARIOS, Figures


def machine() -> dict[str, str | int]:
    packages = ("django", "channels", "daphne", "uvicorn", "websockets", "django-eventstream")
    return {
        "python": platform.python_version(),
        "cores": psutil.cpu_count() or 0,
        **{package: version(package) for package in packages},
    }


def table(rows: list[Figures]) -> str:
    """Return rows as a Markdown table; a cell is empty if its row lacks the column."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    lines += [f"| {' | '.join(_cell(row.get(column, '')) for column in columns)} |" for row in rows]
    return "\n".join(lines)


def _cell(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.0f}" if abs(value) >= 100 or value % 1 == 0 else f"{value:.1f}"


async def main(options: argparse.Namespace) -> None:
    allow_many_files()
    about = machine()
    print(", ".join(f"{name} {value}" for name, value in about.items()), flush=True)
    results: dict[str, list[Figures]] = {}
    with prepared() as ready:
        for name in options.scenario or SCENARIOS:
            rows = results[name] = await SCENARIOS[name](ready, options.scale)
            if name == "fan-out" and ready.node is None:
                print("\nnode or its packages cannot be installed here: ws and socket.io are left out")
            print(f"\n## {name}\n\n{SCENARIOS[name].__doc__}\n\n{table(rows)}", flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps({"machine": about, "results": results}, indent=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", action="append", choices=list(SCENARIOS))
    parser.add_argument(
        "--scale", type=float, default=1, help="factor for the number of connections and changes"
    )
    parser.add_argument("--json", help="also write the figures to this file")
    sys.exit(asyncio.run(main(parser.parse_args())))
