"""Groups: a process joins those of 20,000 topics on Valkey, and joins them again after Valkey has forgotten them."""

import asyncio
import time

import psutil

from . import contestants
from .bench import BOARDS, FIRST_BOARD, Bench, Direct, cpu
from .delivery import idle
from .floods import followed_by_one, following
from .load import ManyTopics, until
from .outcome import Budget, Curve, Outcome, Points, number

TOPICS = 20_000
AGAIN_SECONDS = 150
"""How long joining again may take: ``REJOIN_SECONDS`` and the joining itself."""
PATIENCE_SECONDS = 30.0
MIB = 2**20


class Stalls:
    """Pings a server's connections in turn, and notes how long each answer takes: how long its loop stands still."""

    def __init__(self, clients: list[ManyTopics]) -> None:
        self._clients = clients
        self.longest = 0.0
        self._task = asyncio.create_task(self._ping())

    async def _ping(self) -> None:
        place = 0
        while True:
            client = self._clients[place % len(self._clients)]
            place += 1
            self.longest = max(self.longest, await self._answer_seconds(client))
            await asyncio.sleep(0.06 / len(self._clients))  # a connection may send 20 messages a second

    async def _answer_seconds(self, client: ManyTopics) -> float:
        before, began = len(client.pongs), time.perf_counter()
        client.ping()
        is_answered = await until(lambda: len(client.pongs) > before, PATIENCE_SECONDS)
        return client.pongs[before] - began if is_answered else PATIENCE_SECONDS

    def stop(self) -> float:
        """Return the longest answer, in milliseconds."""
        self._task.cancel()
        return 1000 * self.longest


async def joined(bench: Bench, out: Outcome) -> None:
    """Up to 20,000 topics are subscribed to as fast as they are answered; then Valkey is emptied by a restart."""
    wanted = bench.count(TOPICS, 8)
    project = bench.project(REDIS_URL=bench.valkey.url, RECHECK_SECONDS="600")
    database = Direct(project)
    for start in range(FIRST_BOARD + BOARDS, FIRST_BOARD + BOARDS + wanted, 500):
        end = min(start + 500, FIRST_BOARD + BOARDS + wanted)
        rows = ", ".join(f"({n}, 'more-{n}', 'Board')" for n in range(start, end))
        database.execute(f"INSERT INTO boards_board (id, slug, title) VALUES {rows}")
    database.close()
    topics = [f"entries.{turn}" for turn in range(FIRST_BOARD + BOARDS, FIRST_BOARD + BOARDS + wanted)]
    costs: Points = []
    memory: Points = []
    with contestants.tidemark(project, "uvicorn") as running:
        process = psutil.Process(running.pid)
        async with following(running, ["entries.1"]) as probes:
            for _ in range(9):
                probes.append(await followed_by_one(running, ["entries.1"]))
            at_rest, before = await idle(bench, process, 3), process.memory_info().rss
            costs.append((0, 100 * at_rest))
            memory.append((0, 0.0))
            stalls, began, used = Stalls(probes), time.perf_counter(), cpu(process)
            half = len(topics) // 2
            async with following(running, topics[:half]):
                joining_half = stalls.stop()
                costs.append((half, 100 * await idle(bench, process, 5)))
                memory.append((half, (process.memory_info().rss - before) / MIB))
                stalls = Stalls(probes)
                async with following(running, topics[half:]):
                    took, took_cpu = time.perf_counter() - began, cpu(process) - used
                    joining = max(joining_half, stalls.stop())
                    costs.append((wanted, 100 * await idle(bench, process, 5)))
                    memory.append((wanted, (process.memory_info().rss - before) / MIB))
                    groups = _groups(bench)
                    stalls, began = Stalls(probes), time.perf_counter()
                    await asyncio.to_thread(bench.valkey.kill)
                    await asyncio.to_thread(bench.valkey.start)
                    limit = AGAIN_SECONDS if not bench.is_tiny else 5
                    is_back, left = False, 0
                    while time.perf_counter() - began < limit and not is_back:
                        await asyncio.sleep(0.5)
                        left = max(0, groups - await asyncio.to_thread(_groups, bench))
                        is_back = not left
                    again, rejoining = time.perf_counter() - began, stalls.stop()
        failed = running.server.log.read_text().count("not joined") if running.server else 0
    out.add("groups", {
        "topics": wanted, "groups": float(groups), "joined after, s": took,
        "CPU per topic, ms": 1000 * took_cpu / wanted,
        "loop stood while joining, ms": joining, "joined again after, s": again if is_back else float("nan"),
        "loop stood while joining again, ms": rejoining, "not joined": float(failed + left), "MiB": memory[-1][1],
        "idle CPU %": costs[-1][1],
    })  # fmt: skip
    what, baseline = (
        f"joining and re-joining {wanted:,} groups on Valkey",
        f"idle {number(100 * at_rest)} % of a core",
    )
    out.judge(Budget(f"{what}: failed", failed + left, 0, "groups", baseline))
    out.judge(Budget(f"{what}: the loop stands", max(joining, rejoining), 50, "ms", baseline))
    title, x = "Topics held by one process: idle CPU", "topics held"
    out.curves.append(Curve("topics-cpu", title, x, "% of a core", {"uvicorn": costs}))
    out.curves.append(
        Curve("topics-memory", "Topics held by one process: memory", x, "MiB", {"uvicorn": memory})
    )


def _groups(bench: Bench) -> int:
    """Return how many groups have subscribers on Valkey, which counts them itself: their names are long to send."""
    found = bench.valkey.command("EVAL", "return #redis.call('PUBSUB', 'CHANNELS', '*')", "0")
    assert isinstance(found, int)
    return found
