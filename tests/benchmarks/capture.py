"""The cost of capture for a writer: single saves, an update of 10,000 rows, inserts beside a conditional constraint.

Each round measures writes without triggers and with them, in one process and on one table; the figures are medians.
"""

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import ClassVar

from .bench import Bench
from .outcome import Budget, Outcome, number

ROUNDS = 7
SAVES = 200
ROWS = 10_000
CONSTRAINED_ROWS = 50_000
LIMITS = {"SQLite": (1.2, 4.0), "PostgreSQL": (1.15, 2.0)}


def writes(rounds: int, saves: int, rows: int) -> Iterator[dict[str, float]]:
    """Yield the median seconds of each kind of write."""
    from realtime.boards.models import Board, Entry
    from realtime.models import OutboxRow
    from realtime.publishing import capture, log, positions
    from realtime.publishing.sequencer import sequence

    board = Board.objects.first()
    Entry.objects.bulk_create(Entry(board=board, label=f"row {turn}") for turn in range(rows))
    entry = Entry.objects.order_by("pk").last()
    assert entry is not None

    def save() -> None:
        for turn in range(saves):
            entry.value = str(turn)
            entry.save()

    def update() -> None:
        Entry.objects.filter(board=board).update(value=str(time.monotonic_ns()))

    taken: dict[str, list[float]] = {}
    for _ in range(rounds):
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
    yield {name: statistics.median(seconds) for name, seconds in taken.items()}


def constrained(rounds: int, inserts: int, rows: int) -> Iterator[dict[str, float]]:
    """Yield the median seconds of inserts into a table that has rows and a unique constraint with a condition."""
    from django.db import connection, models

    from realtime.feeds import Feed, registry
    from realtime.publishing import capture, positions

    class Berth(models.Model):
        dock = models.IntegerField()
        place = models.IntegerField()
        is_taken = models.BooleanField(default=True)

        class Meta:
            app_label = "benchmark"
            constraints = [
                models.UniqueConstraint(
                    fields=["dock", "place"], condition=models.Q(is_taken=True), name="benchmark_taken"
                )
            ]

        objects: ClassVar[models.Manager["Berth"]]

    class BerthFeed(Feed):
        fields = ["place"]

    with connection.schema_editor() as editor:
        editor.create_model(Berth)
    registry.add(BerthFeed(Berth))
    numbers = iter(range(10**9))

    def insert(count: int) -> None:
        with connection.cursor() as cursor:
            for turn in [next(numbers) for _ in range(count)]:
                cursor.execute(
                    "INSERT INTO benchmark_berth (dock, place, is_taken) VALUES (%s, %s, 1)",
                    [turn % 50, turn],
                )

    Berth.objects.bulk_create(Berth(dock=n % 50, place=n) for n in (next(numbers) for _ in range(rows)))
    positions.ensure_epoch()
    taken: dict[str, list[float]] = {}
    for _ in range(rounds):
        for kind, prepare in (("without", capture.uninstall), ("with", capture.install)):
            prepare()
            taken.setdefault(kind, []).append(_seconds(lambda: insert(inserts)))
            bulk = [Berth(dock=n % 50, place=n) for n in (next(numbers) for _ in range(inserts * 10))]
            taken.setdefault(f"bulk {kind}", []).append(_seconds(partial(Berth.objects.bulk_create, bulk)))
    yield {name: statistics.median(seconds) for name, seconds in taken.items()}


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


async def for_a_writer(bench: Bench, out: Outcome) -> None:
    """`save()` and an update of 10,000 rows, alternately with triggers and without, on both databases."""
    saves, rows = bench.count(SAVES, 5), bench.count(ROWS, 20)
    for vendor in bench.vendors:
        with out.tolerating(vendor):
            where, rounds = "tests.benchmarks.capture:writes", bench.count(ROUNDS)
            (seconds,) = await asyncio.to_thread(
                bench.inside, bench.project(vendor), where, rounds=rounds, saves=saves, rows=rows
            )
            before, after = (seconds[f"save {kind}"] / saves * 1e6 for kind in ("without", "with"))
            many_before, many_after = (seconds[f"update {kind}"] * 1e3 for kind in ("without", "with"))
            out.add("capture", {
                "": vendor, "`save()` without, µs": before, "with, µs": after, "ratio": after / before,
                f"{ROWS:,}-row `update()` without, ms": many_before, "with, ms": many_after,
                "ratio of updates": many_after / many_before,
            })  # fmt: skip
            single, many = LIMITS[vendor]
            out.judge(
                Budget(
                    f"save() with capture ÷ without, {vendor}",
                    after / before,
                    single,
                    "times",
                    f"{number(before)} µs without",
                )
            )
            what = f"{ROWS:,}-row update with capture ÷ without, {vendor}"
            out.judge(
                Budget(what, many_after / many_before, many, "times", f"{number(many_before)} ms without")
            )


async def beside_a_constraint(bench: Bench, out: Outcome) -> None:
    """Inserts into an SQLite table of 50,000 rows that has a unique constraint with a condition."""
    inserts = bench.count(200, 5)
    where = "tests.benchmarks.capture:constrained"
    (seconds,) = await asyncio.to_thread(
        bench.inside, bench.project(), where,
        rounds=bench.count(5), inserts=inserts, rows=bench.count(CONSTRAINED_ROWS, 50),
    )  # fmt: skip
    for kind, prefix, count in (("single", "", inserts), ("bulk", "bulk ", inserts * 10)):
        before, after = (seconds[f"{prefix}{how}"] / count * 1e6 for how in ("without", "with"))
        out.add(
            "constraint", {"inserts": kind, "without, µs": before, "with, µs": after, "ratio": after / before}
        )
        what = f"insert beside a conditional unique constraint, SQLite, {CONSTRAINED_ROWS:,} rows, {kind}"
        out.judge(Budget(what, after / before, 1.5, "times", f"{number(before)} µs without capture"))
