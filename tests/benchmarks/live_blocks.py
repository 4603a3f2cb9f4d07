"""Live blocks: what pages with a query of their user, a paginated list and a form cost while their topic changes."""

import asyncio
import contextlib
import html
import random
import re
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import msgspec
import psutil
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from realtime.engine.position import Position

from . import contestants
from .bench import Bench, Direct, cpu
from .load import until
from .outcome import Budget, Outcome

FOLLOWERS = 200
RATE = 20
SECONDS = 20
INTERVAL_SECONDS = 1.0
"""The shortest time between two fetches of a page (realtime/static/realtime/elements/page-fetches.js)."""
TOPIC = "entries.1"
SETTINGS = "tests.apps.blocks.settings"
FETCHES_PER_SECOND = 50.0
"""The default of BLOCK_FETCHES_PER_SECOND."""
POSITION = re.compile(r'data-realtime-block="list"[^>]* data-realtime-position="([^"]+)"')


class Page(WSListener):
    """A page as the page client keeps it: told of changes by signals, fetched at most once a second, and spread."""

    def __init__(self, address: str, session: str) -> None:
        self.address, self.session = address, session
        self.reached: Position | None = None  # the last change of the topic
        self.read: Position | None = None  # as of which the block was rendered
        self.text = ""
        self.fetches: list[float] = []
        self._spread, self._received = 0.0, 0
        self._changed = asyncio.Event()

    def on_ws_connected(self, transport: WSTransport) -> None:
        transport.send(
            WSMsgType.TEXT, b'{"type":"subscribe","topic":"%s","format":"signal"}' % TOPIC.encode()
        )

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.TEXT:
            return
        self._received += 1
        message = msgspec.json.decode(frame.get_payload_as_bytes())
        if message["type"] == "heartbeat":
            transport.send(WSMsgType.TEXT, b'{"type":"ack","received":%d}' % self._received)
        elif message["type"] in ("snapshot", "changes"):
            position = Position.parse(message["position"])
            signal = message.get("signal", position.offset)
            self._spread = message.get("spread_seconds", self._spread)
            self.reached = Position(position.epoch, position.offset if signal is None else signal)
            self._changed.set()

    @property
    def is_current(self) -> bool:
        return self.read is not None and self.reached is not None and self.read.covers(self.reached)

    async def keep_current(self, pool: ThreadPoolExecutor) -> None:
        """Fetch the page whenever the topic may have changed, until it is cancelled."""
        not_before = 0.0
        while True:
            await self._changed.wait()
            await asyncio.sleep(max(not_before - time.perf_counter(), self._spread * random.random()))
            self._changed.clear()
            if self.is_current:
                continue
            began = time.perf_counter()
            not_before = began + max(INTERVAL_SECONDS, self._spread)
            self.fetches.append(began)
            with contextlib.suppress(OSError):
                self.text = await asyncio.get_running_loop().run_in_executor(pool, self._fetch)
                found = POSITION.search(self.text)
                self.read = Position.parse(found[1]) if found else None
            if not self.is_current:
                self._changed.set()

    def _fetch(self) -> str:
        headers = {"Cookie": f"sessionid={self.session}", "Realtime-Block": "summary,list"}
        with urllib.request.urlopen(
            urllib.request.Request(self.address, headers=headers), timeout=60
        ) as answer:
            return str(answer.read().decode())


async def followed(bench: Bench, out: Outcome) -> None:
    """200 users on three pages of a list, 20 changes a second: fetches, CPU, and what the pages show at the end."""
    followers = bench.count(FOLLOWERS, 3)
    with (
        contestants.run(bench, "uvicorn", DJANGO_SETTINGS_MODULE=SETTINGS) as running,
        ThreadPoolExecutor(FOLLOWERS) as pool,
    ):
        assert running.server is not None
        project, process = running.server.project, psutil.Process(running.pid)
        where = "tests.benchmarks.rights:sign_in"
        (sessions,) = await asyncio.to_thread(bench.inside, project, where, users=followers, boards=0)
        pages = [
            Page(f"{running.server.url}/blocks/?page={1 + turn % 3}", session)
            for turn, session in enumerate(sessions)
        ]
        tasks = []
        for page in pages:
            headers = {"Cookie": f"sessionid={page.session}", "Origin": running.server.url}
            await ws_connect(lambda page=page: page, running.url, extra_headers=headers)
            tasks.append(asyncio.create_task(page.keep_current(pool)))
        await until(lambda: all(page.is_current for page in pages), 120)
        before, began = cpu(process), time.perf_counter()
        last = await _write(bench, running)
        took, used = time.perf_counter() - began, cpu(process) - before
        within = [moment for page in pages for moment in page.fetches if began <= moment < began + took]
        await until(lambda: all(page.is_current and last in page.text for page in pages), 60)
        settled = time.perf_counter() - began - took
        right = sum(_is_right(page, number, last) for number, page in enumerate(pages))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    out.add("live-blocks", {
        "followers": followers, "changes a second": RATE, "fetches a second, of all": len(within) / took,
        "fetches a second, of each": len(within) / took / followers, "server, cores": used / took,
        "ms of CPU for a fetch": 1000 * used / max(1, len(within)), "right at the end": right,
        "s until then": settled,
    })  # fmt: skip
    out.judge(Budget("pages whose block is right at the end", right, followers, "pages", at_least=True))
    most = min(1.0, FETCHES_PER_SECOND / followers)
    what = f"fetches of a page for its live block, {followers} followers, {RATE} changes/s"
    out.judge(Budget(what, len(within) / took / followers, most, "a second"))


async def _write(bench: Bench, running: contestants.Running) -> str:
    """Change entries of the board, and at last all of those that are shown; return what these say then."""
    assert running.server is not None
    last = "the last turn"
    with contextlib.closing(Direct(running.server.project)) as database:
        keys = [row[0] for row in database.execute("SELECT id FROM boards_entry WHERE board_id = 1")]
        for turn in range(bench.count(RATE * SECONDS, 5)):
            parameters = [f"turn {turn}", keys[turn % len(keys)]]
            database.execute("UPDATE boards_entry SET label = ? WHERE id = ?", parameters)
            await asyncio.sleep(1 / RATE)
        database.execute("UPDATE boards_entry SET label = ? WHERE board_id = 1", [last])
    return last


def _is_right(page: Page, number: int, last: str) -> bool:
    """Return whether a page shows the last label of each row of its page, and its own user's name."""
    labels = re.findall(r"<li[^>]*>([^<]*)</li>", page.text)
    return bool(labels) and set(map(html.unescape, labels)) == {last} and f"bench-{number} sees" in page.text
