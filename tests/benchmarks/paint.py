"""First paint: what a page with the rows of a topic costs, while a client follows the topic."""

import asyncio
import time
import urllib.request
from collections.abc import Iterator

import psutil

from . import contestants
from .bench import FIRST_BOARD, Bench, cpu, fill
from .floods import following
from .load import Load
from .outcome import Budget, Curve, Figures, Outcome, Points, number

ROWS = (100, 1_000, 10_000)
SECONDS = 4.0
"""How long pages of each size are requested."""
MIB = 2**20


def bare(boards: list[int]) -> Iterator[Figures]:
    """Yield the CPU that Django takes to read and render the rows of each board in a template, without this package."""
    from django.template import engines

    from realtime.boards.models import Entry

    page = engines["django"].from_string(
        "{% for entry in entries %}{% include 'boards/_entry.html' %}{% endfor %}"
    )
    for board in boards:
        page.render({"entries": Entry.objects.filter(board=board)})
        times, used = 0, time.process_time()
        while not times or time.process_time() - used < 0.5:
            page.render({"entries": Entry.objects.filter(board=board)})
            times += 1
        yield {"board": board, "ms": 1000 * (time.process_time() - used) / times}


async def held(bench: Bench, out: Outcome) -> None:
    """Pages of topics of 100 to 10,000 rows that a client follows, one request after the other, uvicorn and SQLite."""
    sizes = {FIRST_BOARD + 1 + place: bench.count(rows, 5) for place, rows in enumerate(ROWS)}
    points: Points = []
    change_points: Points = []
    memory_points: Points = []
    with contestants.run(bench, "uvicorn") as running:
        process = psutil.Process(running.pid)
        assert running.server is not None
        project = running.server.project
        for board, rows in sizes.items():
            await asyncio.to_thread(fill, project, 1, rows, board)
        where = "tests.benchmarks.paint:bare"
        found = await asyncio.to_thread(bench.inside, project, where, boards=[*sizes])
        plain = {row["board"]: row["ms"] for row in found}
        address = f"{running.server.url}/boards/board-"
        async with following(running, [f"entries.{FIRST_BOARD}", f"board.{FIRST_BOARD}"], "html"):
            one = await _page_ms(bench, process, f"{address}{FIRST_BOARD}/")
        for board, rows in sizes.items():
            before = process.memory_info().rss
            async with following(running, [f"entries.{board}", f"board.{board}"], "html"):
                mib = (process.memory_info().rss - before) / MIB
                ms = await _page_ms(bench, process, f"{address}{board}/")
            cost = ms - one
            change_ms = await _change_ms(bench, running, process, f"entries.{board}")
            out.add("paint", {
                "rows": rows, "page, ms of CPU": ms, "of these for the rows": cost,
                "Django's own template, ms": plain[board], "one change, ms of CPU": change_ms, "MiB": mib,
            })  # fmt: skip
            points.append((rows, cost))
            change_points.append((rows, change_ms))
            memory_points.append((rows, mib))
            if board == FIRST_BOARD + 1 + ROWS.index(1_000):
                what = "first paint of a topic of 1,000 rows that is held, CPU for its rows"
                out.judge(Budget(what, cost, 5.0, "ms", f"Django's own template {number(plain[board])} ms"))
    x = "rows of the topic"
    django: Points = [(rows, plain[board]) for board, rows in sizes.items()]
    lines = {"Tidemark": points, "Django's template": django}
    out.curves.append(Curve("rows-paint", "A page view: CPU by the rows of its topic", x, "ms of CPU", lines))
    title = "One change with one follower: CPU by the rows of its topic"
    out.curves.append(Curve("rows-change", title, x, "ms of CPU", {"uvicorn": change_points}))
    out.curves.append(Curve("rows-memory", "A topic in memory", x, "MiB", {"uvicorn": memory_points}))


async def _page_ms(bench: Bench, process: psutil.Process, address: str) -> float:
    """Return the CPU of one view of a page, in milliseconds."""

    def view() -> None:
        with urllib.request.urlopen(address, timeout=120) as answer:
            answer.read()

    for _ in range(bench.count(5)):  # caches are cold
        await asyncio.to_thread(view)
    times, used, end = 0, cpu(process), time.perf_counter() + bench.seconds(SECONDS)
    while not times or (time.perf_counter() < end and times < 300):
        await asyncio.to_thread(view)
        times += 1
    return 1000 * (cpu(process) - used) / times


async def _change_ms(
    bench: Bench, running: contestants.Running, process: psutil.Process, topic: str
) -> float:
    """Return the CPU of one change that one client follows, in milliseconds."""
    load = Load(running.url, format="html", settle_seconds=bench.seconds(1))
    await load.open([topic])
    for _ in range(3):
        running.change(topic)
        await load.until(len(load.arrivals.times) + 1, 20)
    times, used = bench.count(30, 2), cpu(process)
    for _ in range(times):
        before = len(load.arrivals.times)
        running.change(topic)
        await load.until(before + 1, 20)
    load.close()
    return 1000 * (cpu(process) - used) / times
