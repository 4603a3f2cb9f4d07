"""The contestants: Tidemark on each server and the baselines, each in its own process."""

import contextlib
import itertools
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support import servers
from tests.support.servers import ROOT, Project, free_port

from .bench import DEFAULTS, FIRST_BOARD, Bench, Direct, Vendor

TIDEMARKS = ["uvicorn", "daphne"]
BASELINES = {
    "kernel floor": ("floor", "plain"),
    "Channels group on uvicorn": ("uvicorn", "plain"),
    "Channels group on daphne": ("daphne", "plain"),
    "django-eventstream on uvicorn": ("uvicorn", "events"),
    "django-eventstream on daphne": ("daphne", "events"),
    "ws on node": ("ws", "plain"),
    "socket.io on node": ("socket.io", "plain"),
}
_numbers = itertools.count()


@dataclass
class Running:
    """A running contestant: the address for its clients, its process, and a function that makes a change.

    ``change`` takes a topic and a value. It returns the time of the commit, or for a baseline of the request,
    in seconds of ``perf_counter``.
    """

    url: str
    pid: int
    change: Callable[..., float]
    dialect: str = "tidemark"
    server: servers.Server | None = None


def names(bench: Bench) -> list[str]:
    """Return the contestants that can run on this machine; in a tiny run the two that every figure needs."""
    if bench.is_tiny:
        return ["kernel floor", "uvicorn"]
    baselines = [name for name in BASELINES if not name.endswith("node") or node(bench)]
    return ["kernel floor", *TIDEMARKS, *(name for name in baselines if name != "kernel floor")]


def tidemarks(bench: Bench) -> list[str]:
    return TIDEMARKS[:1] if bench.is_tiny else TIDEMARKS


@contextlib.contextmanager
def run(
    bench: Bench, name: str, vendor: Vendor = "SQLite", *, alone: bool = False, **environment: str
) -> Iterator[Running]:
    """Start a contestant and yield it when it answers; the environment applies to Tidemark's servers.

    A tiny run starts each kind of server once, but for one that is used ``alone``.
    """
    if name in BASELINES:
        start = _baseline(bench, *BASELINES[name])
    else:
        start = tidemark(bench.new_project(vendor, **environment), name)
    if not bench.is_tiny or alone:
        with start as running:
            yield running
        return
    key = (name, vendor, *sorted(environment.items() - DEFAULTS.items()))
    if key not in bench.shared:
        bench.shared[key] = bench.keep(start)
    yield bench.shared[key]


@contextlib.contextmanager
def tidemark(project: Project, name: str) -> Iterator[Running]:
    """Run a server of a project; its changes are written by this process."""
    database = Direct(project)
    entries: dict[int, int] = dict(
        database.execute("SELECT board_id, min(id) FROM boards_entry GROUP BY board_id")
    )

    def change(topic: str, value: str = "") -> float:
        key = entries[int(topic.partition(".")[2])]
        database.execute(
            "UPDATE boards_entry SET value = ? WHERE id = ?", [value or str(next(_numbers)), key]
        )
        return time.perf_counter()

    try:
        with servers.running(project, name) as server:
            assert server.process is not None
            yield Running(server.socket_url, server.process.pid, change, server=server)
    finally:
        database.close()


def topics(count: int, first: int = FIRST_BOARD) -> list[str]:
    """Return topics to which only the benchmark writes, each with one row."""
    return [f"entries.{number}" for number in range(first, first + count)]


@contextlib.contextmanager
def _baseline(bench: Bench, name: str, dialect: str) -> Iterator[Running]:
    port = free_port()
    application = f"tests.benchmarks.{'eventstream' if dialect == 'events' else 'baselines'}:application"
    endpoint = f"tcp:port={port}:interface=127.0.0.1:backlog=4096"
    python = [sys.executable, "-m"]
    on_node = ["node", str(Path(__file__).parent / "node_server.mjs"), name, str(port)]
    commands = {
        "floor": [*python, "tests.benchmarks.baselines", str(port)],
        "daphne": [*python, "daphne", "-v", "0", "-e", endpoint, application],
        "uvicorn": [
            *python, "uvicorn", application, "--port", str(port), "--backlog", "4096", "--log-level", "error",
            "--timeout-graceful-shutdown", "1",
        ],
    }  # fmt: skip
    path = {"socket.io": "/socket.io/?EIO=4&transport=websocket"}.get(name, "/")
    url = f"http://127.0.0.1:{port}/events/" if dialect == "events" else f"ws://127.0.0.1:{port}{path}"

    def change(topic: str, value: str = "") -> float:
        asked = time.perf_counter()
        urllib.request.urlopen(f"http://127.0.0.1:{port}/send", timeout=60).close()
        return asked

    process = subprocess.Popen(commands.get(name) or [*on_node, str(node(bench))], cwd=ROOT)
    try:
        servers.wait_until_answering(f"http://127.0.0.1:{port}/", process)
        yield Running(url, process.pid, change, dialect)
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()


def node(bench: Bench) -> Path | None:
    """Return the folder with the packages for node; None if node is missing or they cannot be installed."""
    folder = bench.folder / "node"
    if not (shutil.which("node") and shutil.which("npm")):
        return None
    if not folder.exists():
        folder.mkdir(parents=True)
        command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "ws@8", "socket.io@4"]
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(command, cwd=folder, capture_output=True, timeout=120)
    if not (folder / "node_modules" / "ws").exists():
        bench.say("  node or its packages cannot be installed here: ws and socket.io are left out")
        return None
    return folder
