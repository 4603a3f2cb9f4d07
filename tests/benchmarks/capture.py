"""The cost of capture for a writer, on SQLite and PostgreSQL; part of ``make bench``. Prints Markdown.

    python -m tests.benchmarks.capture

Each round measures writes without triggers and with them, in one process and on one table; the figures are medians.
"""

import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.support import databases, servers
from tests.support.servers import ROOT, Project

ROUNDS = 7
SAVES = 200
ROWS = 10_000


def measure() -> None:
    """Print the median seconds of each kind of write as JSON; runs in a process with the database's settings."""
    import django

    django.setup()
    from realtime.boards.models import Board, Entry
    from realtime.models import OutboxRow
    from realtime.publishing import capture, log, positions
    from realtime.publishing.sequencer import sequence

    board = Board.objects.first()
    Entry.objects.bulk_create(Entry(board=board, label=f"row {number}") for number in range(ROWS))
    entry = Entry.objects.order_by("pk").last()
    assert entry is not None

    def save() -> None:
        for number in range(SAVES):
            entry.value = str(number)
            entry.save()

    def update() -> None:
        Entry.objects.update(value=str(time.monotonic_ns()))

    taken: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for kind, prepare in (("without", capture.uninstall), ("with", capture.install)):
            prepare()
            for name, write in (("save", save), ("update", update)):
                taken.setdefault(f"{name} {kind}", []).append(_seconds(write))
            # Remove what was captured, so that it does not slow down the next round.
            positions.ensure_epoch()
            while sequence(positions.probe()) is not None:
                pass
            log.prune()
            assert not OutboxRow.objects.exists()
    print(json.dumps({name: statistics.median(seconds) for name, seconds in taken.items()}))


def _seconds(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _measured(project: Project) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", "from tests.benchmarks.capture import measure; measure()"],
        cwd=ROOT, env=project.environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    seconds: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return seconds


def main() -> None:
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        found["SQLite"] = _measured(servers.prepare(Path(folder) / "sqlite"))
        with databases.running(fsync="on") as postgresql:
            with contextlib.closing(postgresql.connect()) as admin:
                admin.execute("CREATE DATABASE bench")
            project = servers.prepare(Path(folder) / "postgresql", DATABASE_URL=postgresql.url("bench"))
            found["PostgreSQL"] = _measured(project)
    print(
        "| | `save()` without, µs | with, µs | ratio | 10,000-row `update()` without, ms | with, ms | ratio |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, seconds in found.items():
        before, after = (seconds[f"save {kind}"] / SAVES * 1e6 for kind in ("without", "with"))
        many_before, many_after = (seconds[f"update {kind}"] * 1e3 for kind in ("without", "with"))
        print(
            f"| {name} | {before:.0f} | {after:.0f} | {after / before:.2f} "
            f"| {many_before:.0f} | {many_after:.0f} | {many_after / many_before:.2f} |"
        )


if __name__ == "__main__":
    main()
