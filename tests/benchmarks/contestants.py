"""The contestants: Tidemark on each server and the baselines, each in its own process."""

import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.support import servers
from tests.support.servers import ROOT, free_port

TIDEMARK = ["uvicorn", "daphne"]
BASELINES = {
    "kernel floor": ("floor", "plain"),
    "Channels group on uvicorn": ("uvicorn", "plain"),
    "Channels group on daphne": ("daphne", "plain"),
    "django-eventstream on uvicorn": ("uvicorn", "events"),
    "django-eventstream on daphne": ("daphne", "events"),
    "ws on node": ("ws", "plain"),
    "socket.io on node": ("socket.io", "plain"),
}

FIRST_TOPIC = 101
"""The board of the first topic to which only the benchmark writes."""


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


class Prepared:
    """A folder with what all contestants need and is slow to make: a migrated project, packages for node."""

    def __init__(self, folder: Path, topics: int) -> None:
        self.folder = folder
        self.project = servers.prepare(folder / "prepared")
        self._numbers = iter(range(10**9))
        database = self.project.connect()
        for number in range(FIRST_TOPIC, FIRST_TOPIC + topics):
            database.execute(
                "INSERT INTO boards_board (id, slug, title) VALUES (?, 'board-' || ?, 'Board')",
                [number, number],
            )
            database.execute("INSERT INTO boards_entry (board_id, label) VALUES (?, 'Entry')", [number])
        database.close()

    @cached_property
    def node(self) -> Path | None:
        """The folder with the packages for node; None if node is missing or they cannot be installed."""
        return _node_packages(self.folder / "node")

    @contextlib.contextmanager
    def run(self, name: str, **environment: str) -> Iterator[Running]:
        """Start a contestant and yield it when it answers; the environment applies to Tidemark's servers."""
        if name in BASELINES:
            with self._baseline(*BASELINES[name]) as running:
                yield running
        else:
            # All clients connect from one address here.
            with self._tidemark(name, **{"MAX_CONNECTIONS_PER_ADDRESS": "100000", **environment}) as running:
                yield running

    @contextlib.contextmanager
    def _tidemark(self, name: str, **environment: str) -> Iterator[Running]:
        folder = self.folder / f"{name}-{next(self._numbers)}"
        project = servers.copy(self.project, folder, LOG_LEVEL="WARNING", **environment)
        database = project.connect()
        entries = dict(database.execute("SELECT board_id, min(id) FROM boards_entry GROUP BY board_id"))

        def change(topic: str, value: str = "") -> float:
            key = entries[int(topic.partition(".")[2])]
            database.execute(
                "UPDATE boards_entry SET value = ? WHERE id = ?", [value or str(next(self._numbers)), key]
            )
            return time.perf_counter()

        with servers.running(project, name) as server:
            assert server.process is not None
            yield Running(server.socket_url, server.process.pid, change, server=server)
        database.close()
        shutil.rmtree(folder)

    @contextlib.contextmanager
    def _baseline(self, name: str, dialect: str) -> Iterator[Running]:
        port = free_port()
        application = f"tests.benchmarks.{'eventstream' if dialect == 'events' else 'baselines'}:application"
        endpoint = f"tcp:port={port}:interface=127.0.0.1:backlog=4096"
        python = [sys.executable, "-m"]
        commands = {
            "floor": [*python, "tests.benchmarks.baselines", str(port)],
            "daphne": [*python, "daphne", "-v", "0", "-e", endpoint, application],
            "uvicorn": [
                *python, "uvicorn", application, "--port", str(port), "--backlog", "4096", "--log-level", "error",
                "--timeout-graceful-shutdown", "1",
            ],
            "ws": ["node", str(Path(__file__).parent / "node_server.mjs"), "ws", str(port), str(self.node)],
            "socket.io": [
                "node", str(Path(__file__).parent / "node_server.mjs"), "socket.io", str(port), str(self.node)
            ],
        }  # fmt: skip
        path = {"socket.io": "/socket.io/?EIO=4&transport=websocket"}.get(name, "/")
        url = f"http://127.0.0.1:{port}/events/" if dialect == "events" else f"ws://127.0.0.1:{port}{path}"

        def change(topic: str, value: str = "") -> float:
            asked = time.perf_counter()
            urllib.request.urlopen(f"http://127.0.0.1:{port}/send", timeout=60).close()
            return asked

        process = subprocess.Popen(commands[name], cwd=ROOT)
        try:
            servers.wait_until_answering(f"http://127.0.0.1:{port}/", process)
            yield Running(url, process.pid, change, dialect)
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()

    @property
    def names(self) -> list[str]:
        """The names of all contestants that can run on this machine."""
        return [*TIDEMARK, *(name for name in BASELINES if self.node or not name.endswith("node"))]


def _node_packages(folder: Path) -> Path | None:
    if not (shutil.which("node") and shutil.which("npm")):
        return None
    folder.mkdir(parents=True)
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "ws@8", "socket.io@4"]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=300)
    return folder if done.returncode == 0 else None


@contextlib.contextmanager
def prepared(topics: int = 100) -> Iterator[Prepared]:
    with tempfile.TemporaryDirectory() as folder:
        yield Prepared(Path(folder), topics)
