"""The page in a real Chromium: what a change of a long topic costs, how soon a first visit by a slow line is live."""

import asyncio
import contextlib
import statistics
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from tests.browser import chromium
from tests.browser.visits import collected
from tests.browser.windows import DEPARTURES

from . import contestants
from .bench import FIRST_BOARD, Bench, fill
from .outcome import Budget, Curve, Outcome, Points, number

if TYPE_CHECKING:
    from playwright.async_api import Browser

ROWS = (100, 1_000, 10_000)
CHANGES = 40
PAUSE_SECONDS = 0.3
"""Between two changes: each is a message of its own."""
ROUND_TRIP_SECONDS = 0.4
BYTES_PER_SECOND = 50_000
"""400 kbit/s."""
LIVE = "live-status[data-state=live]"
PATIENCE_MS = 120_000


class SlowLine:
    """A proxy that delays what it forwards by half a round trip, and forwards so many bytes a second in each direction.

    All connections share the line, and each new one costs a round trip before it is forwarded, as TCP's handshake does.
    """

    def __init__(self, port: int, round_trip: float, rate: float) -> None:
        self._target, self._half, self._rate = port, round_trip / 2, rate
        self._free = {"up": 0.0, "down": 0.0}
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections = 0
        self.bytes = 0

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await asyncio.sleep(2 * self._half)
        back_reader, back_writer = await asyncio.open_connection("127.0.0.1", self._target)
        for ends in ((reader, back_writer, "up"), (back_reader, writer, "down")):
            task = asyncio.create_task(self._pump(*ends))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, direction: str) -> None:
        loop = asyncio.get_running_loop()
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(64)

        async def forward() -> None:
            while True:
                due, data = await waiting.get()
                await asyncio.sleep(max(0.0, due - loop.time()))
                if not data:
                    sink.close()
                    return
                sink.write(data)

        forwarding = asyncio.create_task(forward())
        try:
            with contextlib.suppress(ConnectionError):
                while True:
                    data = await source.read(1460)
                    self.bytes += len(data)
                    self._free[direction] = max(self._free[direction], loop.time()) + len(data) / self._rate
                    await waiting.put((self._free[direction] + self._half, data))
                    if not data:
                        break
            await forwarding
        finally:
            forwarding.cancel()


@contextlib.asynccontextmanager
async def _browser() -> AsyncIterator["Browser"]:
    executable = chromium.find()
    if executable is None:
        raise RuntimeError(
            "no Chromium or Chrome installed; python -m tests.browser.chromium tries to install one"
        )
    from playwright.async_api import async_playwright  # takes long to import, and few runs need it

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=chromium.ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


async def one_change(bench: Bench, out: Outcome) -> None:
    """One change at a time on a page of 100 to 10,000 rows: the work of its main thread."""
    sizes = {FIRST_BOARD + place: bench.count(rows, 5) for place, rows in enumerate(ROWS)}
    scripts: Points = []
    tasks: Points = []
    with contestants.run(bench, "uvicorn") as running:
        assert running.server is not None
        for board, rows in sizes.items():
            await asyncio.to_thread(fill, running.server.project, 1, rows, board)
        async with _browser() as browser:
            for board, rows in sizes.items():
                page = await browser.new_page()
                page.set_default_timeout(PATIENCE_MS)
                await page.goto(f"{running.server.url}/boards/board-{board}/")
                await page.wait_for_selector(LIVE)
                session = await page.context.new_cdp_session(page)
                await session.send("Performance.enable")

                async def spent(session=session) -> dict[str, float]:
                    answer = await session.send("Performance.getMetrics")
                    return {metric["name"]: metric["value"] for metric in answer["metrics"]}

                async def change(turn: int, page=page, board=board) -> None:
                    value = f"value {board} {turn}"
                    await asyncio.to_thread(running.change, f"entries.{board}", value)
                    shown = "value => document.querySelector('[data-rows]').textContent.includes(value)"
                    await page.wait_for_function(shown, arg=value, polling=100)

                count = bench.count(CHANGES, 2)
                pause = bench.seconds(PAUSE_SECONDS)
                await change(-1)
                begun = await spent()
                await asyncio.sleep(count * pause)
                middle = await spent()
                # The page is not asked whether it shows them, because that costs more than showing them.
                for turn in range(count):
                    await asyncio.to_thread(running.change, f"entries.{board}", f"value {turn}")
                    await asyncio.sleep(pause)
                ended = await spent()
                cost = {
                    name: max(0.0, ended[name] - middle[name] - (middle[name] - begun[name])) * 1000 / count
                    for name in ("ScriptDuration", "TaskDuration", "LayoutDuration", "RecalcStyleDuration")
                }
                out.add("browser-change", {
                    "rows": rows, "script, ms": cost["ScriptDuration"], "layout, ms": cost["LayoutDuration"],
                    "styles, ms": cost["RecalcStyleDuration"], "main thread, ms": cost["TaskDuration"],
                })  # fmt: skip
                await change(count)
                scripts.append((rows, cost["ScriptDuration"]))
                tasks.append((rows, cost["TaskDuration"]))
                await page.close()
    baseline = f"{number(scripts[0][1])} ms with {scripts[0][0]:,} rows"
    out.judge(Budget("browser: one change on 10,000 rows, script", scripts[-1][1], 1.5, "ms", baseline))
    lines = {"script": scripts, "main thread": tasks}
    out.curves.append(Curve("browser-rows", "One change in the browser", "rows of the page", "ms", lines))


async def first_visit(bench: Bench, out: Outcome) -> None:
    """A first visit with an empty cache, 400 ms round trip and 400 kbit/s: from the request until the page is live."""
    lines = {
        "loopback": (0.0, 1e9),
        "400 ms, 400 kbit/s": (bench.seconds(ROUND_TRIP_SECONDS), BYTES_PER_SECOND / min(1, bench.scale)),
    }
    with collected(bench.new_project()) as server:
        async with _browser() as browser:
            for name, (round_trip, rate) in lines.items():
                taken, requests, line = [], 0, SlowLine(server.port, round_trip, rate)
                for _ in range(bench.count(5)):
                    line = SlowLine(server.port, round_trip, rate)
                    seconds, requests = await _visit(browser, f"{await line.start()}{DEPARTURES}")
                    taken.append(seconds)
                    line.stop()
                out.add("first-visit", {
                    "line": name, "live after, s": statistics.median(taken), "slowest, s": max(taken),
                    "requests": requests, "connections": line.connections, "KiB": line.bytes / 1024,
                })  # fmt: skip
    near, far = (float(row["live after, s"]) for row in out.tables["first-visit"])
    what = "first visit to live, 400 ms, 400 kbit/s"
    out.judge(Budget(what, far, 2.5, "s", f"{number(near)} s on loopback"))


async def _visit(browser: "Browser", address: str) -> tuple[float, int]:
    """Return after how many seconds a page with an empty cache is live, and after how many requests."""
    context = await browser.new_context()
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    loop = asyncio.get_running_loop()
    began = loop.time()
    await page.goto(address, wait_until="commit")
    await page.wait_for_selector(LIVE)
    seconds = loop.time() - began
    await context.close()
    return seconds, len(requests)
