"""A world: a database, servers, writers and viewers, in each of the two shapes in which the product runs."""

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

import psycopg

from realtime.engine.position import Position
from tests.faults import oracle, writers
from tests.faults.oracle import Findings, Oracle, SQLiteOracle, State
from tests.faults.viewers import Viewer
from tests.faults.vigil import Sample, Spell, Vigil
from tests.support.databases import PostgreSQL
from tests.support.servers import ROOT, Project, Server
from tests.support.valkey import Valkey

T = TypeVar("T")

HEARTBEAT_SECONDS = 2.0
TOPICS = ("entries.1", "entries.2", "entries.1", "entries.2", "boards")
"""Topics of healthy feeds, whose viewers are compared at every position."""
FRAGILE_TOPICS = ("items.a", "items.b", "erratics", "slows", "crates", "readings", "parcels.1", "pulses")
"""Topics of tests/apps/faulty, whose viewers are compared with samples and in the end."""
READING_SECONDS = 3.0
"""How long the query of the slow feed takes."""
DATABASE = "faults"


@dataclass
class Figures:
    """The figures of a run."""

    findings: Findings
    faults: Counter[str] = field(default_factory=Counter)
    writes: int = 0
    connections: int = 0
    corrections: int = 0
    samples: int = 0
    waited_seconds: float = 0.0
    wrong: dict[str, Spell] = field(default_factory=dict)
    recoveries: list[tuple[float, str]] = field(default_factory=list)
    converged_seconds: float = 0.0
    missing: int = 0

    @property
    def is_clean(self) -> bool:
        return not self.findings.violations and not self.missing

    def markdown(self) -> str:
        findings = self.findings
        seconds, slowest = max(self.recoveries, default=(0.0, "none"))
        spells = sorted(self.wrong.items(), key=lambda each: -each[1].seconds)
        wrong = ", ".join(f"{topic} {spell.seconds:.1f}" for topic, spell in spells[:5])
        middle = statistics.median([took for took, _ in self.recoveries] or [0.0])
        rows = {
            "faults": f"{sum(self.faults.values())} of {len(self.faults)} kinds",
            "writes committed": self.writes,
            "messages that changed a viewer's rows": findings.messages,
            "distinct states compared with the database": findings.checked,
            "states between two batches, compared only with other viewers": findings.unknown,
            "viewers that never had the rows of SELECT": self.missing,
            "violations: stale, backwards, partial transaction, applied twice": len(findings.violations),
            "seconds from a fault's end until all viewers had recovered, median": f"{middle:.1f}",
            "the same, maximum": f"{seconds:.1f} ({slowest})",
            "seconds from the last write until all viewers had all rows": f"{self.converged_seconds:.1f}",
            "connections made": self.connections,
            "samples of all topics": self.samples,
            f"longest time that a page was wrong and live, of {2 * HEARTBEAT_SECONDS:g} seconds": wrong
            or "0.0",
            "seconds not counted there, in which a server or this process waited for a processor": (
                f"{self.waited_seconds:.1f}"
            ),
            "snapshots requested because a digest differed": self.corrections,
        }
        lines = [
            "| what | figure |",
            "|---|---|",
            *(f"| {what} | {figure} |" for what, figure in rows.items()),
        ]
        return "\n".join([*lines, *(f"VIOLATION {words}" for words in findings.violations)])


class World:
    """Everything that a fault can strike: ``async with Distributed(folder, seed) as world``."""

    oracle: Oracle
    standby: "subprocess.Popen[bytes] | None" = None
    """A process that only publishes, if there is one."""
    writers = writers.KINDS

    def __init__(self, folder: Path, seed: int, viewers: int = 50) -> None:
        self.chance = random.Random(seed)
        self.viewers: list[Viewer] = []
        self.guests: list[Viewer] = []
        """Viewers of fragile topics."""
        self.servers: list[Server] = []
        self.folder, self._seed, self._number = folder, seed, viewers
        self._writers: list[subprocess.Popen[str]] = []
        self._recovering: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        try:
            await asyncio.to_thread(self._start)
            self._figures = Figures(self.oracle.findings)
            self.vigil = Vigil(
                self._sample, lambda: [*self.viewers, *self.guests], self._processes, 2 * HEARTBEAT_SECONDS
            )
            self.viewers = [
                Viewer(self.addresses, TOPICS[number % len(TOPICS)], self.oracle, 2 * HEARTBEAT_SECONDS)
                for number in range(self._number)
            ]
            self.guests = [self.guest(topic) for topic in FRAGILE_TOPICS for _ in range(2)]
            await self.until(
                lambda: all(viewer.replica.position for viewer in [*self.viewers, *self.guests]),
                "first snapshots",
            )
            self.start_writers()
            self._watching = asyncio.create_task(self.vigil.watch())
        except BaseException:
            await asyncio.to_thread(self._stop)
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        for task in [self._watching, *self._recovering]:
            task.cancel()
        with contextlib.suppress(Exception):
            await asyncio.gather(*(viewer.stop() for viewer in [*self.viewers, *self.guests]))
        await asyncio.to_thread(self._stop)

    # ------------------------------------------------------------ for faults

    def others(self, server: Server) -> list[subprocess.Popen[bytes]]:
        """Return the processes that publish, without that of one server."""
        processes = [one.process for one in self.servers if one is not server] + [self.standby]
        return [process for process in processes if process is not None]

    def _processes(self) -> list[int]:
        running = [server.process for server in self.servers] + [self.standby]
        return [os.getpid(), *(process.pid for process in running if process is not None)]

    @contextlib.contextmanager
    def switched(self, name: str, number: float) -> Iterator[None]:
        """Write a number into a file that the fragile feeds read; remove it in the end."""
        file = self.folder / name
        file.write_text(str(number))
        try:
            yield
        finally:
            file.unlink()

    def addresses(self) -> list[str]:
        return [server.socket_url for server in self.servers]

    def guest(
        self,
        topic: str,
        addresses: Callable[[], list[str]] | None = None,
        shows: str = "",
        on_change: Callable[[Viewer], None] = lambda viewer: None,
    ) -> Viewer:
        """Return a viewer of a fragile topic; ``shows`` names its rows where another release declares them."""
        return Viewer(addresses or self.addresses, topic, None, 2 * HEARTBEAT_SECONDS, shows, on_change)

    async def until_shown(self, *topics: str) -> None:
        """Wait until every viewer of these topics has had rows that ``SELECT`` returned since the call.

        Not those of this moment: writers go on, and a page may be as late as its badge says.
        """
        returned: defaultdict[str, list[State]] = defaultdict(list)
        waiting = {viewer for viewer in [*self.viewers, *self.guests] if viewer.shows in topics}
        began = time.monotonic()
        while waiting and time.monotonic() - began < 180:
            states = (await asyncio.to_thread(with_retries, self._sample, self._errors)).states
            for topic in topics:
                if states[topic] not in returned[topic]:
                    returned[topic].append(states[topic])
            waiting = {viewer for viewer in waiting if viewer.state not in returned[viewer.shows]}
            await asyncio.sleep(0.1)
        for viewer in waiting:
            words = oracle.difference(returned[viewer.shows][-1], viewer.state)
            raise AssertionError(
                f"{len(waiting)} viewers, of {viewer.shows} for example, never had rows that SELECT returned: {words}; "
                f"live: {viewer.is_live}, received {viewer.recent()}; {self.violations[:3]}"
            )

    def execute(self, *statements: str) -> None:
        """Run statements in one transaction, again if a deadlock or an outage has undone it."""

        def run() -> None:
            with contextlib.closing(self.connect()) as database:
                database.execute("BEGIN")
                for statement in statements:
                    database.execute(statement)
                database.execute("COMMIT")

        with_retries(run, (psycopg.Error, sqlite3.Error))

    def connect(self) -> Any:
        """Return a plain connection to the database, as another program would use; a subclass names its type."""
        raise NotImplementedError

    def position(self) -> Position:
        """Return the database's current position as the engine defines it."""

        def position() -> Position:
            with contextlib.closing(self.connect()) as database:
                return self._position_in(database)

        return with_retries(position, self._errors)

    _begin = "BEGIN"

    def _position_in(self, database: Any) -> Position:
        raise NotImplementedError

    def project(self, **environment: str) -> Project:
        return Project(
            self.folder,
            DJANGO_SETTINGS_MODULE="tests.faults.settings",
            HEARTBEAT_SECONDS=str(HEARTBEAT_SECONDS),
            LOG_LEVEL="WARNING",
            **environment,
        )

    async def until(self, condition: Callable[[], bool], words: str, seconds: float = 180) -> float:
        """Wait until a condition holds; return how many seconds it took."""
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > seconds:
                raise AssertionError(f"not within {seconds} s: {words}")
            await asyncio.sleep(0.05)
        return time.monotonic() - began

    async def restart(self, server: Server, number: int, seconds: float = 0.5, **environment: str) -> None:
        """Stop a server with a signal and start it some seconds later with this environment."""
        if server.process is not None and server.process.poll() is None:
            await asyncio.to_thread(server.stop, number)
        await asyncio.sleep(seconds)
        server.project = self.project(**environment)
        await asyncio.to_thread(server.start)

    async def compare(self) -> None:
        """Compare the states that viewers had so far with the database's records."""

        def compare() -> None:
            with contextlib.closing(self.connect()) as database:
                self.oracle.compare(database)

        await asyncio.to_thread(compare)

    @property
    def violations(self) -> list[str]:
        return self.oracle.findings.violations + self.vigil.violations

    async def strike(self, name: str, fault: Callable[[Any], Awaitable[None]]) -> None:
        """Let a fault strike, and measure the recovery from it beside what follows."""
        await fault(self)
        self._figures.faults[name] += 1
        self._recovering.append(asyncio.create_task(self._recover(name)))

    async def _recover(self, name: str) -> None:
        """Measure the seconds until every viewer has the position at which the fault ended, or a later one.

        The next fault may strike meanwhile. If the epoch ends, any later epoch counts as recovered.
        """
        goal = await asyncio.to_thread(self.position)
        old = {
            goal.epoch,
            *(position.epoch for viewer in self.viewers if (position := viewer.replica.position)),
        }

        def is_there(viewer: Viewer) -> bool:
            position = viewer.replica.position
            return position is not None and (
                position.epoch not in old or (position.epoch == goal.epoch and position.offset >= goal.offset)
            )

        try:
            seconds = await self.until(lambda: all(map(is_there, self.viewers)), f"recovered from {name}")
            self._figures.recoveries.append((seconds, name))
        except AssertionError as error:
            self._figures.findings.violations.append(str(error))

    # ------------------------------------------------------------ the end

    async def settle(self) -> Figures:
        """Stop the writers, wait until every viewer has the rows of ``SELECT``, and compare all states."""
        await asyncio.gather(*self._recovering)
        await self.stop_writers()
        figures = self._figures
        began = time.monotonic()
        waiting = [*self.viewers, *self.guests]
        while waiting and time.monotonic() - began < 180:
            await asyncio.sleep(0.1)
            waiting = await self._behind()
        figures.converged_seconds = time.monotonic() - began
        figures.missing = len(waiting)
        for viewer in waiting[:3]:
            with contextlib.closing(self.connect()) as database:
                expected = oracle.stored(database, viewer.shows)
            words = oracle.difference(expected, viewer.state)
            figures.findings.violations.append(f"never had the rows of SELECT: {viewer.shows}: {words}")
        await self.compare()
        self._watching.cancel()
        figures.findings.violations += self.vigil.violations
        figures.connections = sum(viewer.connections for viewer in [*self.viewers, *self.guests])
        figures.corrections = sum(viewer.replica.corrections for viewer in [*self.viewers, *self.guests])
        figures.wrong, figures.samples = dict(self.vigil.longest), self.vigil.samples_taken
        figures.waited_seconds = self.vigil.waited_seconds
        return figures

    async def _behind(self) -> list[Viewer]:
        """Return the viewers that do not have the rows of ``SELECT``; the demo's jobs still write occasionally."""

        expected = (await asyncio.to_thread(with_retries, self._sample, self._errors)).states
        return [viewer for viewer in [*self.viewers, *self.guests] if viewer.state != expected[viewer.shows]]

    _errors = (psycopg.Error, sqlite3.Error)

    def _sample(self) -> Sample:
        """Return the rows of all topics, and the position, in one snapshot."""
        with contextlib.closing(self.connect()) as database:
            database.execute(self._begin)
            position = self._position_in(database)
            return Sample(position, {topic: oracle.stored(database, topic) for topic in oracle.SHOWN})

    # ------------------------------------------------------------ processes

    def _start(self) -> None:
        raise NotImplementedError

    def _prepare(self) -> None:
        """Migrate and fill the database, without the board that a job updates continuously."""
        project = self.project()
        project.manage("migrate", "--verbosity", "0")
        project.manage("demo")
        with contextlib.closing(self.connect()) as database:
            database.execute("DELETE FROM boards_board WHERE slug = 'this-server'")
            for statement in _FRAGILE_ROWS:
                database.execute(statement)

    def _start_servers(self, *names: str) -> None:
        self.servers = [Server(self.project(), name) for name in names]
        for server in self.servers:
            server.start()

    def start_writers(self) -> None:
        self._writers = [self._start_writer(kind) for kind in self.writers]

    async def stop_writers(self) -> None:
        """Stop the writers after their present write, and count what they have committed."""
        for writer in self._writers:
            writer.send_signal(signal.SIGTERM)
        outputs = await asyncio.to_thread(
            lambda: [writer.communicate(timeout=300)[0] for writer in self._writers]
        )
        self._figures.writes += sum(int(output.split()[-1]) for output in outputs if output.split())
        self._writers = []

    def _start_writer(self, kind: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.faults.writers", kind, str(self._seed)],
            cwd=ROOT, env=self.project().environment, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def _stop(self) -> None:
        for writer in self._writers:
            _end(writer)
        for server in self.servers:
            _end(server.process)


class Distributed(World):
    """PostgreSQL, Valkey, three servers and a standby publisher."""

    def __init__(self, folder: Path, seed: int, viewers: int = 50) -> None:
        super().__init__(folder, seed, viewers)
        self.postgresql, self.valkey = PostgreSQL(), Valkey()
        self.oracle = Oracle()

    @property
    def first_backup(self) -> Path:
        """The file with the database as it was with the demo's boards, before any server ran."""
        return self.folder / "first-backup"

    def connect(self) -> psycopg.Connection:
        return self.postgresql.connect(DATABASE)

    _begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

    def _position_in(self, database: psycopg.Connection) -> Position:
        found = database.execute(
            "SELECT coalesce(epoch, ''), "
            "pg_snapshot_xmax(now)::text::bigint - (SELECT count(*) FROM pg_snapshot_xip(now)) "
            "FROM pg_current_snapshot() AS now LEFT JOIN realtime_sequencer ON id = 1"
        ).fetchone()
        assert found is not None
        return Position(*found)

    def project(self, **environment: str) -> Project:
        addresses = {"DATABASE_URL": self.postgresql.url(DATABASE), "REDIS_URL": self.valkey.url}
        return super().project(**addresses, **environment)

    def start_standby(self) -> None:
        self.standby = subprocess.Popen(
            [sys.executable, "manage.py", "publish"],
            cwd=ROOT, env=self.project().environment,
            stdout=subprocess.DEVNULL, stderr=(self.folder / "standby.log").open("ab"),
        )  # fmt: skip

    def _start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.valkey.start()
        self.postgresql.create()
        with self.postgresql.connect() as admin:
            admin.execute(f"CREATE DATABASE {DATABASE}")
        self._prepare()
        with contextlib.closing(self.connect()) as database:
            oracle.install(database)
        self.postgresql.backup(DATABASE, self.first_backup)
        self._start_servers("daphne", "daphne", "uvicorn")
        self.start_standby()

    def _stop(self) -> None:
        super()._stop()
        _end(self.standby)
        _end(self.valkey.process)
        self.postgresql.remove()


class Embedded(World):
    """SQLite and one server."""

    oracle: SQLiteOracle

    def connect(self) -> sqlite3.Connection:
        return self.project().connect()

    def _position_in(self, database: sqlite3.Connection) -> Position:
        return Position(
            *database.execute(
                "SELECT epoch, (SELECT seq FROM sqlite_sequence WHERE name = 'realtime_outboxrow') + 1 "
                "FROM realtime_sequencer"
            ).fetchone()
        )

    def _start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._prepare()
        self.oracle = SQLiteOracle(self.connect())
        self._start_servers("daphne")


_FRAGILE_ROWS = (
    "INSERT INTO faulty_item (shelf, name) VALUES ('a', 'one'), ('a', 'two'), ('b', 'three'), ('b', 'four')",
    "INSERT INTO faulty_crate (label) VALUES ('one'), ('two'), ('three')",
    "INSERT INTO faulty_reading (sector, level) VALUES (0, 1), (0, 2), (1, 3), (1, 4)",
    "INSERT INTO faulty_parcel (shelf, floor, weight, label) VALUES "
    "(1, 2, 10, 'one'), (1, 1, 60, 'two'), (2, 1, 20, 'three'), (2, 2, 70, 'four')",
    "INSERT INTO faulty_pulse (number) VALUES (0)",
)


def with_retries(query: Callable[[], T], errors: tuple[type[Exception], ...], seconds: float = 180) -> T:
    """Return the result of a query, repeating it until the database answers."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return query()
        except errors:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _end(process: subprocess.Popen[Any] | None) -> None:
    if process is not None and process.poll() is None:
        process.kill()
        process.wait(timeout=60)
