"""Floods: 500 topics that are all followed while rows are written faster than any reader reads them."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Iterator

import psutil
from picows import ws_connect

from tests.support.servers import Project

from . import contestants
from .bench import FIRST_BOARD, Bench, cpu, fill
from .contestants import Running
from .load import ManyTopics, until
from .outcome import Budget, Outcome, number

TOPICS = 500
ROWS_EACH = 20
RATE = 3_000
SECONDS = 10
AT_ONCE = 30
"""How many rows one transaction of the writer has."""
TOPICS_OF_A_CLIENT = 125


async def held(bench: Bench, out: Outcome) -> None:
    """500 topics of 20 rows, all followed, 3,000 rows a second for ten seconds: stale after the last write."""
    topics = contestants.topics(bench.count(TOPICS, 4))
    for vendor in bench.vendors:
        with out.tolerating(vendor):
            calm = 0.0
            for rate in (RATE // 10, RATE):
                with contestants.run(bench, "uvicorn", vendor) as running:
                    assert running.server is not None
                    project = running.server.project
                    await asyncio.to_thread(fill, project, len(topics), ROWS_EACH)
                    async with following(running, topics) as clients:
                        # What was filled in is a flood as well.
                        rows = ROWS_EACH * len(topics)
                        await until(lambda: sum(len(each.rows) for each in clients) >= rows, 60)  # noqa: B023
                        await asyncio.sleep(bench.seconds(2))
                        stale, late = await _flooded(
                            bench, running, project, clients, len(topics), rate, out, vendor
                        )
                if rate == RATE:
                    what = (
                        f"500 topics of 20 rows held, {rate:,} rows/s: stale after the last write, {vendor}"
                    )
                    baseline = f"{number(calm)} s at {RATE // 10} rows/s; {number(late)} % of rows were late"
                    out.judge(Budget(what, stale, 1.0, "s", baseline))
                calm = stale


@contextlib.asynccontextmanager
async def following(
    running: Running, topics: list[str], format: str = "rows"
) -> AsyncIterator[list[ManyTopics]]:
    """Follow topics by as few clients as the server admits; yield them when all snapshots have arrived."""
    starts = range(0, len(topics), TOPICS_OF_A_CLIENT)
    parts = [topics[start : start + TOPICS_OF_A_CLIENT] for start in starts]
    clients = [await followed_by_one(running, part, format) for part in parts]
    try:
        seconds = 60 + len(topics) / 50
        if not await until(lambda: all(len(each.answered) == len(each.topics) for each in clients), seconds):
            answered = sum(len(each.answered) for each in clients)
            raise TimeoutError(f"{answered} of {len(topics)} topics were answered in {seconds:.0f} s")
        yield clients
    finally:
        for client in clients:
            if client.transport is not None:
                client.transport.disconnect(False)


async def followed_by_one(running: Running, topics: list[str], format: str = "rows") -> ManyTopics:
    """Return a client that has requested topics."""
    client = ManyTopics(topics, format=format)
    await ws_connect(lambda: client, running.url)
    client.subscribe(topics)
    return client


async def _flooded(
    bench: Bench, running: Running, project: Project, clients: list[ManyTopics], topics: int, rate: int,
    out: Outcome, vendor: str,
) -> tuple[float, float]:  # fmt: skip
    """Write at a rate; return how many seconds after the last commit all rows were right, and the share that was late.

    Units: the share is a percentage of the rows that were written.
    """
    process = psutil.Process(running.pid)
    used = cpu(process)
    arguments = {"rate": rate, "seconds": max(0.5, bench.seconds(SECONDS)), "topics": topics}
    (written,) = await asyncio.to_thread(bench.inside, project, "tests.benchmarks.floods:write", **arguments)
    last, committed = written["last"], written["committed"]

    def wrong() -> int:
        rows = {key: value for client in clients for key, value in client.rows.items()}
        return sum(rows.get(key) != value for key, value in last.items())

    at_once = wrong()
    deadline = time.perf_counter() + 60
    while wrong() and time.perf_counter() < deadline:
        await asyncio.sleep(0.01)
    stale = time.perf_counter() - committed
    if closed := [client.closed for client in clients if client.closed]:
        raise RuntimeError(f"{len(closed)} of {len(clients)} connections were closed: {closed[0]}")
    out.add("floods", {
        "": vendor, "rows/s asked for": float(rate), "rows/s written": written["rows"] / written["took"],
        "stale after the last write, s": stale, "rows late %": 100 * at_once / max(1, len(last)),
        "never right": float(wrong()), "server's CPU, µs a row": 1e6 * (cpu(process) - used) / written["rows"],
    })  # fmt: skip
    return stale, 100 * at_once / max(1, len(last))


def write(rate: int, seconds: float, topics: int) -> Iterator[dict[str, object]]:
    """Write random rows at a rate; yield the last value of each row, and when the last transaction was committed."""
    from django.db import connection, transaction

    from realtime.boards.models import Entry

    boards = range(FIRST_BOARD, FIRST_BOARD + topics)
    keys = list(Entry.objects.filter(board__in=boards).values_list("pk", flat=True))
    last: dict[str, str] = {}
    began = time.perf_counter()
    rounds = 0
    while time.perf_counter() < began + seconds:
        time.sleep(max(0.0, began + rounds * AT_ONCE / rate - time.perf_counter()))
        chosen = random.sample(keys, AT_ONCE)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE boards_entry SET value = %s WHERE id IN ({', '.join(map(str, chosen))})",
                [str(rounds)],
            )
        last |= {str(key): str(rounds) for key in chosen}
        rounds += 1
    committed = time.perf_counter()
    yield {"last": last, "committed": committed, "rows": rounds * AT_ONCE, "took": committed - began}
