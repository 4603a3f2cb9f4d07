"""Shared by scenarios: the size of the load, prepared projects, PostgreSQL and Valkey, each made when needed."""

import contextlib
import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

import psutil
import psycopg

from tests.support import databases, servers
from tests.support.databases import PostgreSQL
from tests.support.servers import ROOT, Project
from tests.support.valkey import Valkey

T = TypeVar("T")
Vendor = Literal["SQLite", "PostgreSQL"]
VENDORS: tuple[Vendor, ...] = ("SQLite", "PostgreSQL")
BOARDS = 1000
"""How many boards a prepared project has beside those of the demo."""
FIRST_BOARD = 101
INSIDE_SECONDS = 280
DEFAULTS = {
    "LOG_LEVEL": "WARNING",
    "MAX_CONNECTIONS_PER_ADDRESS": "100000",
    "MAX_TOPICS": "100000",
    "MAX_TOPICS_PER_ADDRESS": "100000",
}
"""The environment of projects: all clients connect from one address here."""
TINY = 0.05
"""Below this scale the benchmark is tried, not measured: pauses are short, and few contestants run."""


class Direct:
    """A plain connection to a project's database, as another program has one; parameters are written as ``?``."""

    def __init__(self, project: Project) -> None:
        url = project.environment.get("DATABASE_URL", "")
        self._is_postgresql = url.startswith("postgresql")
        self._connection: Any = psycopg.connect(url, autocommit=True) if url else project.connect()

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        """Run a statement and return the rows of its result."""
        statement = sql.replace("?", "%s") if self._is_postgresql else sql
        cursor = self._connection.execute(statement, parameters or ())
        return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        self._connection.close()


class Bench:
    """One run of the benchmark, in a folder that is removed at its end."""

    def __init__(
        self,
        folder: Path,
        scale: float = 1.0,
        say: Callable[[str], object] = print,
        prepared: Project | None = None,
        postgresql: PostgreSQL | None = None,
    ) -> None:
        """``prepared`` and ``postgresql`` are what a test has already; by default they are made when needed."""
        self.folder, self.scale, self.say = folder, scale, say
        self._prepared, self._given = prepared, postgresql
        self._numbers = itertools.count()
        self._stack = contextlib.ExitStack()
        self.shared: dict[tuple[object, ...], Any] = {}
        """Projects and servers that tiny runs use again, by the arguments that made them."""
        self._workers: dict[Path, subprocess.Popen[str]] = {}

    def close(self) -> None:
        for worker in self._workers.values():
            worker.kill()
            worker.communicate()
        self._stack.close()

    def keep(self, start: contextlib.AbstractContextManager[T]) -> T:
        """Start something and stop it when this run ends."""
        return self._stack.enter_context(start)

    # ------------------------------------------------------------ the size of the load

    @property
    def is_tiny(self) -> bool:
        return self.scale < TINY

    @property
    def vendors(self) -> tuple[Vendor, ...]:
        """The databases to measure: in a tiny run the one that is ready at once."""
        return VENDORS[:1] if self.is_tiny else VENDORS

    def count(self, number: int, least: int = 1) -> int:
        """Return the number at the scale of this run."""
        return max(least, round(number * self.scale))

    def seconds(self, seconds: float) -> float:
        """Return how long to wait or to measure: shorter in a tiny run only, because rates need their time."""
        return seconds * self.scale if self.is_tiny else seconds

    # ------------------------------------------------------------ projects and servers

    @cached_property
    def postgresql(self) -> PostgreSQL:
        if self._given is not None:
            return self._given
        settings = {"fsync": "on", "max_connections": "300", "shared_buffers": "128MB"}
        return self._stack.enter_context(databases.running(**settings))

    @cached_property
    def valkey(self) -> Valkey:
        server = Valkey()
        server.start()
        self._stack.callback(server.kill)
        return server

    def project(self, vendor: Vendor = "SQLite", **environment: str) -> Project:
        """Return a project with the demo and further boards, each with one entry, on a database of its own.

        A new one; a tiny run makes one for each kind.
        """
        key = ("project", vendor, *sorted(environment.items()))
        if self.is_tiny and key in self.shared:
            found: Project = self.shared[key]
            return found
        self.shared[key] = project = self.new_project(vendor, **environment)
        return project

    def new_project(self, vendor: Vendor = "SQLite", **environment: str) -> Project:
        """Return a project that no other scenario uses."""
        folder = self.folder / f"project-{next(self._numbers)}"
        folder.mkdir(parents=True)
        environment = {**DEFAULTS, **environment}
        if vendor == "SQLite":
            return servers.copy(self._on_sqlite, folder, **environment)
        name = f"bench_{next(self._numbers)}_{folder.parent.name}".lower().replace("-", "_")[:60]
        self.postgresql.copy(self._on_postgresql, name)
        self._stack.callback(self.postgresql.drop, name)
        return Project(folder, DATABASE_URL=self.postgresql.url(name), **environment)

    @cached_property
    def _on_sqlite(self) -> Project:
        if self._prepared is None:
            project = servers.prepare(self.folder / "sqlite")
        else:
            project = servers.copy(self._prepared, self.folder / "sqlite")
        _add_boards(project, self.count(BOARDS, 120))
        return project

    @cached_property
    def _on_postgresql(self) -> str:
        """The name of a database to copy."""
        name = f"prepared_{self.folder.name}".lower().replace("-", "_")[:60]
        with contextlib.closing(self.postgresql.connect()) as admin:
            admin.execute(f'CREATE DATABASE "{name}"')
        self._stack.callback(self.postgresql.drop, name)
        project = servers.prepare(self.folder / "postgresql", DATABASE_URL=self.postgresql.url(name))
        _add_boards(project, self.count(BOARDS, 120))
        return name

    # ------------------------------------------------------------ measuring inside a process

    def inside(self, project: Project, function: str, **arguments: Any) -> list[Any]:
        """Run a function of a module in a process with the project's settings; return what it yields.

        ``function`` is written ``module:name``. What it yields must be JSON; each item is printed as progress.
        A tiny run has one process for each project.

        Raises: RuntimeError, with what the process has printed, if it fails or is killed after ``INSIDE_SECONDS``.
        """
        worker = self._workers.get(project.folder)
        if worker is None:
            with (project.folder / "inside.log").open("w") as errors:
                worker = self._workers[project.folder] = subprocess.Popen(
                    [sys.executable, "-m", "tests.benchmarks.inside"],
                    cwd=ROOT, env=project.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                    text=True,
                )  # fmt: skip
        assert worker.stdin is not None
        assert worker.stdout is not None
        timer = threading.Timer(INSIDE_SECONDS, worker.kill)
        timer.start()
        try:
            print(json.dumps([function, arguments]), file=worker.stdin, flush=True)
            found: list[Any] = []
            for line in worker.stdout:
                item = json.loads(line)
                if item is None:
                    return found
                found.append(item)
                self.say(f"    {line.strip()[:200]}")
            words = (project.folder / "inside.log").read_text()
            raise RuntimeError(f"{function} ended with status {worker.wait()}:\n{words[-3000:]}")
        finally:
            timer.cancel()
            if worker.poll() is not None or not self.is_tiny:
                worker.kill()
                worker.communicate()
                del self._workers[project.folder]


def _add_boards(project: Project, count: int) -> None:
    with contextlib.closing(Direct(project)) as database:
        for start in range(FIRST_BOARD, FIRST_BOARD + count, 200):
            numbers = range(start, min(start + 200, FIRST_BOARD + count))
            rows = ", ".join(f"({n}, 'board-{n}', 'Board')" for n in numbers)
            database.execute(f"INSERT INTO boards_board (id, slug, title) VALUES {rows}")
            rows = ", ".join(f"({n}, 'Entry')" for n in numbers)
            database.execute(f"INSERT INTO boards_entry (board_id, label) VALUES {rows}")


def fill(project: Project, boards: int, rows: int, first: int = FIRST_BOARD) -> None:
    """Let each of some boards have this many entries."""
    with contextlib.closing(Direct(project)) as database:
        for start in range(first, first + boards):
            for begin in range(1, rows, 1000):
                values = ", ".join(
                    f"({start}, 'row {n}', {n}, 'a value', 'ok', 'a note of a few words')"
                    for n in range(begin, min(begin + 1000, rows))
                )
                database.execute(
                    f"INSERT INTO boards_entry (board_id, label, position, value, status, note) VALUES {values}"
                )


# ---------------------------------------------------------------- CPU


def cpu(process: psutil.Process) -> float:
    """Return the CPU time that a process has used, in seconds; on Linux by its clock, which counts nanoseconds."""
    if sys.platform == "linux":
        # What clock_getcpuclockid(3) returns: CPUCLOCK_SCHED of the process.
        with contextlib.suppress(OSError):
            return time.clock_gettime((~process.pid << 3) | 2)
    times = process.cpu_times()
    return float(times.user + times.system)


@contextlib.contextmanager
def used(process: psutil.Process) -> Iterator[list[float]]:
    """Measure the CPU seconds of a process during a block; the list has them afterwards."""
    found: list[float] = []
    before = cpu(process)
    yield found
    found.append(cpu(process) - before)
