"""Sequencing: how many rows a second become log entries, and whether that depends on what else is stored.

The functions that yield run in a process with the database's settings (``inside``), which does nothing else; where
topics are followed, a server holds them, and does not sequence.
"""

import asyncio
import itertools
import time
from collections.abc import Iterator
from typing import Any

from . import contestants
from .bench import FIRST_BOARD, Bench, Vendor, fill
from .load import Load
from .outcome import Budget, Curve, Figures, Outcome, Points, number

TOPICS = 100
ROWS_EACH = 200
BATCH = 1_000
"""How many rows are written at once: below ``MAX_BATCH_ROWS``."""
PATIENT = {"FEED_SECONDS": "60"}
"""On a busy machine the feed counted as slow otherwise, and resets would be measured."""
FLOOR_RATE = 20_000
RATES = {"html": 4_000, "rows": 8_000}
ENTRIES = (1, 1_000, 100_000, 1_000_000)
WARM = 5
"""How many changes are made before those that are measured."""
WAITING = (1_000, 100_000, 1_000_000)


# ---------------------------------------------------------------- inside a process


def rate(batches: int, topics: int) -> Iterator[Figures]:
    """Write and sequence batches of rows; yield the rate, and that of reading and inserting as many rows bare.

    Shape: also how many of the entries are resets, and how long the changes of one row are in the log.
    """
    from django.db import connection
    from django.db.models import Count, Q, Sum
    from django.db.models.functions import Length

    from realtime.boards.models import Entry
    from realtime.models import LogEntry

    _begin()
    keys = list(Entry.objects.filter(board__gte=FIRST_BOARD).order_by("pk").values_list("pk", flat=True))
    starts = itertools.cycle(range(0, len(keys), BATCH))
    written, wall, cpu, bare, first = 0, 0.0, 0.0, 0.0, 0
    for turn in range(batches + 1):
        start = next(starts)
        some = keys[start : start + BATCH]
        for begin in range(0, len(some), 500):
            Entry.objects.filter(pk__in=some[begin : begin + 500]).update(value=f"value {turn}")
        began, used = time.perf_counter(), time.process_time()
        _sequence_all()
        if turn == 0:  # caches are cold
            first = LogEntry.objects.order_by("-pk").values_list("pk", flat=True)[0]
            continue
        wall += time.perf_counter() - began
        cpu += time.process_time() - used
        written += len(some)
        began = time.perf_counter()
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT id, source, image FROM realtime_outboxrow ORDER BY id DESC LIMIT %s", [len(some)]
            )
            cursor.fetchall()
            cursor.execute("BEGIN")
            cursor.execute("CREATE TEMPORARY TABLE bare (topic varchar(200), payload text)")
            marks = ", ".join(["(%s, %s)"] * topics)
            cursor.execute(
                f"INSERT INTO bare VALUES {marks}", [f"entries.{n // 2}" for n in range(2 * topics)]
            )
            cursor.execute("ROLLBACK")
        bare += time.perf_counter() - began
    added = LogEntry.objects.filter(pk__gt=first, topic__startswith="entries").aggregate(
        whole=Count("pk"), resets=Count("pk", filter=Q(kind="reset")), characters=Sum(Length("payload"))
    )
    yield {
        "rows/s": written / wall, "CPU per row, µs": 1e6 * cpu / written, "bare rows/s": written / bare,
        "resets %": 100 * added["resets"] / max(1, added["whole"]),
        "characters a row": (added["characters"] or 0) / written,
    }  # fmt: skip


def beside_entries(counts: list[int], repeats: int) -> Iterator[Figures]:
    """Yield how long sequencing one change takes while its topic has a number of entries in the log."""
    from realtime.boards.models import Entry
    from realtime.publishing import positions

    _begin()
    entry = Entry.objects.filter(board=FIRST_BOARD).order_by("pk").first()
    assert entry is not None
    topic, present = f"entries.{FIRST_BOARD}", 0
    for count in counts:
        _add_entries(topic, count - present, positions.probe().offset)
        present = count
        taken, used = [], []
        for turn in range(repeats + WARM):
            Entry.objects.filter(pk=entry.pk).update(value=f"{count} {turn}")
            began, before = time.perf_counter(), time.process_time()
            _sequence_all()
            taken.append(1000 * (time.perf_counter() - began))
            used.append(1000 * (time.process_time() - before))
        taken, used = sorted(taken[WARM:]), sorted(used[WARM:])
        yield {"entries": count, "p50 ms": taken[len(taken) // 2], "CPU ms": used[len(used) // 2]}


def beside_waiting(counts: list[int]) -> Iterator[Figures]:
    """Yield how long rows that wait take, and how long the first change of another feed after them takes."""
    from realtime.boards.models import Board, Entry
    from realtime.models import LogEntry
    from realtime.publishing import log

    _begin()
    here = Entry.objects.filter(board__gte=FIRST_BOARD)
    rows = here.count()
    for count in counts:
        waiting = 0
        while waiting < count:
            keys = here.order_by("pk").values("pk")[: min(rows, count - waiting)]
            waiting += here.filter(pk__in=keys).update(value=f"{count} {waiting}")
        Board.objects.filter(pk=1).update(description=f"after {count} rows")
        began, used = time.perf_counter(), time.process_time()
        entries = LogEntry.objects.filter(topic="boards")
        other, before = None, entries.count()
        for _ in _rounds():
            if other is None and entries.count() > before:
                other = time.perf_counter() - began
        seconds = time.perf_counter() - began
        other = seconds if other is None else other
        yield {
            "waiting rows": count, "sequenced after, ms": 1000 * seconds,
            "another feed's change after, ms": 1000 * other, "rows/s": count / seconds,
            "CPU per row, µs": 1e6 * (time.process_time() - used) / count,
        }  # fmt: skip
        log.prune()


def _begin() -> None:
    from realtime.publishing import capture, positions

    capture.install()
    positions.ensure_epoch()
    _sequence_all()


def _sequence_all() -> None:
    for _ in _rounds():
        pass


def _rounds() -> Iterator[Any]:
    from realtime.publishing import positions
    from realtime.publishing.sequencer import sequence

    while (seen := positions.probe()).is_waiting:
        yield sequence(seen)


def _add_entries(topic: str, count: int, offset: int) -> None:
    """Add entries without changes for a topic, spread over the positions so far."""
    from django.db import transaction

    from realtime.feeds import registry
    from realtime.models import LogEntry
    from realtime.publishing import log

    fingerprint = registry[topic.partition(".")[0]].fingerprint
    for start in range(0, count, 10_000):
        places = [1 + turn * (offset - 1) // count for turn in range(start, min(start + 10_000, count))]
        with transaction.atomic():
            log.append([
                LogEntry(position=place, topic=topic, kind=LogEntry.Kind.CHANGES.value, after=place - 1,
                         begins=place - 1, payload="[]", fingerprint=fingerprint)
                for place in places
            ])  # fmt: skip


# ---------------------------------------------------------------- scenarios


async def not_followed(bench: Bench, out: Outcome) -> None:
    """Rows of 100 topics that no client follows, written in batches of 1,000, on both databases."""
    for vendor in bench.vendors:
        with out.tolerating(vendor):
            # Where no process runs, rows are read for all topics.
            await _sequenced(
                bench, out, vendor, "topics without followers", ["entries.1"], "rows", FLOOR_RATE
            )


async def followed(bench: Bench, out: Outcome) -> None:
    """The same rows while a server holds all of the topics, as HTML or as rows."""
    topics = contestants.topics(bench.count(TOPICS, 2))
    for vendor in bench.vendors:
        for format, limit in [*RATES.items()][: 1 if bench.is_tiny else None]:
            with out.tolerating(f"{vendor}, {format}"):
                await _sequenced(bench, out, vendor, f"topics followed as {format}", topics, format, limit)


async def _sequenced(
    bench: Bench, out: Outcome, vendor: Vendor, what: str, followed: list[str], format: str, limit: float
) -> None:
    """Measure and judge sequencing in a process of its own while a server that does not publish has followers."""
    topics, batches = bench.count(TOPICS, 2), bench.count(12)
    project = bench.project(vendor, PUBLISHER="off", **PATIENT)
    await asyncio.to_thread(fill, project, topics, bench.count(ROWS_EACH, 20))
    with contestants.tidemark(project, "uvicorn") as running:
        load = Load(running.url, format=format, settle_seconds=bench.seconds(2))
        await load.open(followed)
        await asyncio.sleep(bench.seconds(3))  # until the notes of followed topics are stored
        where = "tests.benchmarks.sequencing:rate"
        (row,) = await asyncio.to_thread(bench.inside, project, where, batches=batches, topics=topics)
        load.close()
    out.add("sequencing", {"": f"{vendor}, {what}", **row})
    baseline = f"reading and inserting them bare {number(row['bare rows/s'])} rows/s"
    out.judge(
        Budget(f"sequencing, {what}, {vendor}", row["rows/s"], limit, "rows/s", baseline, at_least=True)
    )


async def log_length(bench: Bench, out: Outcome) -> None:
    """One change whose topic has from one to 1,000,000 entries in the log, on both databases."""
    counts = sorted({bench.count(count) for count in ENTRIES})
    lines: dict[str, Points] = {}
    for vendor in bench.vendors:
        with out.tolerating(vendor):
            where, repeats = "tests.benchmarks.sequencing:beside_entries", bench.count(30, 2)
            rows = await asyncio.to_thread(
                bench.inside,
                bench.project(vendor, **({} if bench.is_tiny else {"LOG_MAX_ENTRIES": "10000000"})),
                where,
                counts=counts,
                repeats=repeats,
            )
            for row in rows:
                out.add("log-length", {"": vendor, **row})
            lines[vendor] = [(row["entries"], row["p50 ms"]) for row in rows]
            at = {row["entries"]: row["p50 ms"] for row in rows}
            long = at.get(100_000, rows[-1]["p50 ms"])
            what = f"a change whose topic has 100,000 log entries, to one with a single entry, {vendor}"
            baseline = f"{number(rows[0]['p50 ms'])} ms with one entry"
            out.judge(Budget(what, long / rows[0]["p50 ms"], 1.2, "times", baseline))
    title = "A change is sequenced: time by the entries of its topic"
    out.curves.append(
        Curve("log-length", title, "entries of the topic in the log", "ms", lines, is_logarithmic=True)
    )


async def waiting_rows(bench: Bench, out: Outcome) -> None:
    """From 1,000 to 1,000,000 rows of 100 topics wait, and behind them a change of another feed, on both databases."""
    counts = sorted({bench.count(count, 10) for count in WAITING})
    lines: dict[str, Points] = {}
    for vendor in bench.vendors:
        with out.tolerating(vendor):
            project = bench.project(vendor)
            await asyncio.to_thread(fill, project, bench.count(TOPICS, 2), bench.count(ROWS_EACH, 20))
            where = "tests.benchmarks.sequencing:beside_waiting"
            rows = await asyncio.to_thread(bench.inside, project, where, counts=counts)
            for row in rows:
                out.add("waiting-rows", {"": vendor, **row})
            lines[vendor] = [(row["waiting rows"], row["sequenced after, ms"]) for row in rows]
    title = "Rows that wait: time until all are sequenced"
    out.curves.append(Curve("waiting-rows", title, "rows in the outbox", "ms", lines))
