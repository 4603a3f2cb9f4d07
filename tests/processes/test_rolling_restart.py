"""Servers behind a balancer are restarted one after the other: no page notices."""

import asyncio
import contextlib
import signal
import statistics
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack

import pytest

from tests.support.balancer import Balancer
from tests.support.client import Client
from tests.support.servers import Project, Server

PAGES = 12


async def until_all_follow(pages: Sequence[Client], label: str, project: Project) -> None:
    """Change a row, and wait until every page has it."""
    with contextlib.closing(project.connect()) as database:
        database.execute("UPDATE boards_entry SET label = ? WHERE id = 1", [label])
    for page in pages:
        await page.until_row("1", label)


def stale(pages: Sequence[Client]) -> list[float]:
    """Return how long the pages were stale since the last call."""
    found = sorted(seconds for page in pages for seconds in page.stale)
    for page in pages:
        page.stale.clear()
    return found


@pytest.fixture
def fleet(project: Project) -> Iterator[list[Server]]:
    """Four servers of the project; two of them run."""
    fleet = [Server(project, name) for name in ("daphne", "uvicorn", "daphne", "uvicorn")]
    for server in fleet[:2]:
        server.launch()
    try:
        for server in fleet[:2]:
            server.wait()
        yield fleet
    finally:
        for server in fleet:
            if server.process is not None and server.process.poll() is None:
                server.process.kill()
                server.process.wait()


async def test_in_a_rolling_restart_each_page_is_moved_at_most_once(
    project: Project, fleet: list[Server], capsys: pytest.CaptureFixture[str]
) -> None:
    """The new process of a server is started before an old one is stopped, so that pages are moved to new ones.

    The time without a connection is printed, beside that after ``kill -9``; it depends on the machine.
    """
    old, new = fleet[:2], fleet[2:]
    async with Balancer(*(server.port for server in fleet)).running() as balancer, AsyncExitStack() as stack:
        url = f"ws://127.0.0.1:{balancer.port}/realtime/ws/"
        pages = []
        for _ in range(PAGES):  # one after the other, so that each server has as many
            pages.append(await stack.enter_async_context(Client(url, "entries.1")))
            await pages[-1].until_snapshot()
        await until_all_follow(pages, "before", project)
        assert [balancer.open[server.port] for server in old] == [PAGES / 2, PAGES / 2]

        for number, (fresh, leaving) in enumerate(zip(new, old, strict=True)):
            await asyncio.to_thread(fresh.start)
            assert await asyncio.to_thread(leaving.stop) in (0, -signal.SIGTERM)
            await until_all_follow(pages, f"restarted {number}", project)

        assert max(page.connections - 1 for page in pages) == 1
        graceful = stale(pages)
        await asyncio.to_thread(old[0].start)  # pages connect to a new process after this, too
        await asyncio.to_thread(new[0].stop, signal.SIGKILL)
        await until_all_follow(pages, "killed", project)
        killed = stale(pages)
    assert "Traceback" not in "".join(server.log.read_text() for server in fleet)
    with capsys.disabled():
        restarted, after_kill = statistics.median(graceful), statistics.median(killed)
        print(
            f"\nstale per page: restarted {restarted:.2f} s, at most {graceful[-1]:.2f} s; after kill -9 "
            f"{after_kill:.2f} s, at most {killed[-1]:.2f} s; ratio {restarted / after_kill:.2f}"
        )
