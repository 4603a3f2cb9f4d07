"""The world of a run: PostgreSQL, Valkey, three servers, a standby publisher, four writers, fifty viewers."""

import asyncio
import contextlib
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tests import servers
from tests.databases import PostgreSQL
from tests.faults import oracle, writers
from tests.faults.oracle import Findings, Oracle
from tests.faults.viewers import Viewer
from tests.servers import ROOT, Project, Server
from tests.valkey import Valkey

HEARTBEAT_SECONDS = 2.0
TOPICS = ("entries.1", "entries.2", "entries.1", "entries.2", "boards")
DATABASE = "faults"


@dataclass
class Figures:
    """What a run came to."""

    findings: Findings
    faults: Counter[str] = field(default_factory=Counter)
    writes: int = 0
    connections: int = 0
    converged_seconds: float = 0.0
    missing: int = 0
    tracebacks: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not self.findings.violations and not self.missing


class World:
    """Everything that a fault can strike. ``async with World(folder, seed) as world``."""

    def __init__(self, folder: Path, seed: int, viewers: int = 50) -> None:
        self.chance = random.Random(seed)
        self.postgresql, self.valkey = PostgreSQL(), Valkey()
        self.oracle = Oracle()
        self.viewers: list[Viewer] = []
        self.servers: list[Server] = []
        self.standby: subprocess.Popen[bytes] | None = None
        self.folder, self._seed, self._number = folder, seed, viewers
        self._writers: list[subprocess.Popen[str]] = []
        self._figures = Figures(self.oracle.findings)

    async def __aenter__(self) -> "World":
        try:
            await asyncio.to_thread(self._start)
            self.viewers = [
                Viewer(self.addresses, TOPICS[number % len(TOPICS)], self.oracle, 2 * HEARTBEAT_SECONDS)
                for number in range(self._number)
            ]
            await self.until(
                lambda: all(viewer.replica.position for viewer in self.viewers), "first snapshots"
            )
            self._writers = [self._start_writer(kind) for kind in writers.KINDS]
        except BaseException:
            await asyncio.to_thread(self._stop)
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        with contextlib.suppress(Exception):
            await asyncio.gather(*(viewer.stop() for viewer in self.viewers))
        await asyncio.to_thread(self._stop)

    # ------------------------------------------------------------ for faults

    @property
    def first_backup(self) -> Path:
        """The database with the demo's boards, from before anything ran."""
        return self.folder / "first-backup"

    def addresses(self) -> list[str]:
        return [server.socket_url for server in self.servers]

    def connect(self) -> psycopg.Connection:
        return self.postgresql.connect(DATABASE)

    async def until(self, condition: Callable[[], bool], words: str, seconds: float = 90) -> float:
        """Wait until something holds; return how long it took."""
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > seconds:
                raise AssertionError(f"not within {seconds} s: {words}")
            await asyncio.sleep(0.05)
        return time.monotonic() - began

    async def restart(self, server: Server, number: int, seconds: float = 0.5, **environment: str) -> None:
        """Stop a server with a signal and start it a while later, with that environment."""
        if server.process is not None and server.process.poll() is None:
            await asyncio.to_thread(server.stop, number)
        await asyncio.sleep(seconds)
        server.project = self.project(**environment)
        await asyncio.to_thread(server.start)

    def project(self, **environment: str) -> Project:
        return Project(
            self.folder,
            DJANGO_SETTINGS_MODULE="tests.faults.settings",
            DATABASE_URL=self.postgresql.url(DATABASE),
            REDIS_URL=self.valkey.url,
            HEARTBEAT_SECONDS=str(HEARTBEAT_SECONDS),
            LOG_LEVEL="WARNING",
            **environment,
        )

    def start_standby(self) -> None:
        self.standby = subprocess.Popen(
            [sys.executable, "manage.py", "publish"],
            cwd=ROOT, env=self.project().environment,
            stdout=subprocess.DEVNULL, stderr=(self.folder / "standby.log").open("ab"),
        )  # fmt: skip

    async def compare(self) -> None:
        """Compare what viewers have shown so far with what the database knows now."""

        def compare() -> None:
            with contextlib.closing(self.connect()) as database:
                self.oracle.compare(database)

        await asyncio.to_thread(compare)

    async def strike(self, name: str, fault: Callable) -> None:
        await fault(self)
        self._figures.faults[name] += 1

    # ------------------------------------------------------------ the end

    async def settle(self) -> Figures:
        """Stop the writers, wait until every viewer has what SELECT has, compare everything."""
        for writer in self._writers:
            writer.send_signal(signal.SIGTERM)
        outputs = await asyncio.to_thread(
            lambda: [writer.communicate(timeout=60)[0] for writer in self._writers]
        )
        figures = self._figures
        figures.writes = sum(int(output.split()[-1]) for output in outputs if output.split())
        began = time.monotonic()
        waiting = self.viewers
        while waiting and time.monotonic() - began < 60:
            await asyncio.sleep(0.1)
            waiting = await self._behind()
        figures.converged_seconds = time.monotonic() - began
        figures.missing = len(waiting)
        for viewer in waiting[:3]:
            with contextlib.closing(self.connect()) as database:
                expected = oracle.stored(database, viewer.replica.topic)
            words = oracle.difference(expected, viewer.state)
            figures.findings.violations.append(f"never came to SELECT: {viewer.replica.topic}: {words}")
        await self.compare()
        figures.connections = sum(viewer.connections for viewer in self.viewers)
        return figures

    async def _behind(self) -> list[Viewer]:
        """Return the viewers whose rows are not what SELECT has. The demo's own jobs write on, now and then."""

        def stored() -> dict[str, oracle.State]:
            with contextlib.closing(self.connect()) as database:
                return {topic: oracle.stored(database, topic) for topic in set(TOPICS)}

        expected = await asyncio.to_thread(stored)
        return [viewer for viewer in self.viewers if viewer.state != expected[viewer.replica.topic]]

    # ------------------------------------------------------------ processes

    def _start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.valkey.start()
        self.postgresql.create()
        with self.postgresql.connect() as admin:
            admin.execute(f"CREATE DATABASE {DATABASE}")
        servers.prepare(self.folder, **{name: self.project().environment[name] for name in _OURS})
        with contextlib.closing(self.connect()) as database:
            # The demo's own job would go on writing when the writers have stopped.
            database.execute("DELETE FROM boards_board WHERE slug = 'this-server'")
            oracle.install(database)
        self.postgresql.backup(DATABASE, self.first_backup)
        self.servers = [Server(self.project(), name) for name in ("daphne", "daphne", "uvicorn")]
        for server in self.servers:
            server.start()
        self.start_standby()

    def _start_writer(self, kind: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.faults.writers", kind, str(self._seed)],
            cwd=ROOT, env=self.project().environment, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def _stop(self) -> None:
        processes = [*self._writers, *(server.process for server in self.servers), self.standby]
        for process in processes:
            if process is not None and process.poll() is None:
                process.kill()
                process.wait(timeout=20)
        if self.valkey.process is not None and self.valkey.process.poll() is None:
            self.valkey.kill()
        self.postgresql.remove()


_OURS = ("DJANGO_SETTINGS_MODULE", "DATABASE_URL", "REDIS_URL", "HEARTBEAT_SECONDS", "LOG_LEVEL")
