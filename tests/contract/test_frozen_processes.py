"""A process that is frozen after any statement of the engine holds up all others for five seconds at most.

Real processes: each is a fork of the test, with a copy of the database, that stops itself (SIGSTOP) after one of its
statements. Whether it holds up others is asked with locks that conflict with all but plain reads, on each table
that the engine or a writer uses, under a time limit of the server.
"""

import contextlib
import gc
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta

import dj_database_url
import psycopg
import pytest
from django.db import connections
from django.utils import timezone

from realtime.access import tickets
from realtime.access.visitors import ANONYMOUS
from realtime.boards.models import Entry
from realtime.conf import get_conf
from realtime.databases.postgresql.triggers import _ADVISORY_LOCK
from realtime.models import LogEntry, Ticket
from realtime.notices import broadcast
from realtime.publishing import capture, lease, log, positions
from realtime.publishing.sequencer import sequence
from tests.contract.conftest import Database, numbers
from tests.support.databases import PostgreSQL

PATIENCE_SECONDS = 8
"""Five, and a margin for busy cores."""
WAIT_SECONDS = 60
AT_ONCE = 20
TABLES = (
    "boards_entry, boards_board, realtime_outboxrow, realtime_logentry, realtime_sequencer, realtime_ticket"
)


@dataclass(frozen=True)
class Operation:
    """The operation during which a process is frozen."""

    prepare: Callable[[], object]
    work: Callable[[], object]


def write() -> None:
    Entry.objects.update(label="changed")


def expire() -> None:
    """Give prune something to delete in both tables."""
    write()
    sequence(positions.probe())
    LogEntry.objects.update(created_at=timezone.now() - timedelta(days=1))


def add_tickets() -> None:
    """One of them is valid for nearly as long as a ticket can be."""
    valid_until = timezone.now() + timedelta(seconds=2 * get_conf().ticket_seconds - 1)
    Ticket.objects.create(digest=tickets._digest("valid"), login=[], expires_at=valid_until)
    Ticket.objects.create(digest="old", login=[], expires_at="2000-01-01T00:00Z")


OPERATIONS = {
    "sequence": Operation(write, lambda: sequence(positions.probe())),
    "prune": Operation(expire, log.prune),
    "begin an epoch": Operation(write, positions.begin_epoch),
    "install": Operation(capture.uninstall, capture.install),
    "uninstall": Operation(lambda: None, capture.uninstall),
    "issue a ticket": Operation(add_tickets, lambda: tickets.issue(ANONYMOUS)),
    "redeem a ticket": Operation(add_tickets, lambda: tickets.redeem("valid")),
}


LONG = ("install", "uninstall")
"""Operations with the same statements for one table after the other."""
LONG_STEP = 19
"""``make test`` freezes them after every nineteenth statement: for each table after another of its 17 or 20."""


@dataclass
class Process:
    """A fork that prepares and waits; then it works, and stops after a number of statements."""

    operation: Operation
    settings: dict[str, object]
    stops_after: int
    pid: int = 0
    statements: int = 0
    _ready: tuple[int, int] = field(default_factory=os.pipe)
    _go: tuple[int, int] = field(default_factory=os.pipe)

    def start(self) -> None:
        self.pid = os.fork()
        if self.pid:
            os.close(self._ready[1])
            os.close(self._go[0])
            return
        status = 1
        try:
            self._run()
            status = 0
        finally:
            os._exit(status)

    def _run(self) -> None:
        gc.disable()  # a connection of the parent that is finalized here would be closed there
        kept = connections["default"]
        del connections["default"]
        connections.settings["default"] = {**connections.settings["default"], **self.settings}
        self.operation.prepare()
        os.write(self._ready[1], b"r")
        os.read(self._go[0], 1)
        self._count(psycopg.Cursor)
        self.operation.work()
        os.write(self._ready[1], self.statements.to_bytes(4, "big"))
        del kept

    def _count(self, cursor: type) -> None:
        """Stop the process after the chosen statement; one outside a transaction holds nothing when it is done."""

        def counting(send: Callable[..., object]) -> Callable[..., object]:
            def counted(*args: object, **kwargs: object) -> object:
                result = send(*args, **kwargs)
                if connections["default"].in_atomic_block:
                    self.statements += 1
                    if self.statements == self.stops_after:
                        os.kill(os.getpid(), signal.SIGSTOP)
                return result

            return counted

        for name in ("execute", "executemany"):
            setattr(cursor, name, counting(getattr(cursor, name)))

    def wait_until_prepared(self) -> None:
        assert os.read(self._ready[0], 1) == b"r", "the process could not prepare"

    def begin(self) -> None:
        os.write(self._go[1], b"g")

    def work(self) -> int:
        """Have it work; return how many statements it ran, 0 if it stopped."""
        self.begin()
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            return 0
        self.pid = 0
        assert status == 0, "the process failed"
        return int.from_bytes(os.read(self._ready[0], 4), "big")

    def kill(self) -> None:
        for descriptor in (self._ready[0], self._go[1]):
            os.close(descriptor)
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


class Copies:
    """Copies of a prepared database, each with processes of its own."""

    def __init__(self, prepared: Database) -> None:
        assert isinstance(prepared.source, PostgreSQL)
        self._server, self._template = prepared.source, prepared.name
        self._names: list[str] = []
        self._processes: list[Process] = []

    def add(self) -> str:
        name = f"frozen_{next(numbers)}"
        self._server.copy(self._template, name)
        self._names.append(name)
        return name

    def process(self, operation: Operation, name: str, stops_after: int) -> Process:
        settings = dj_database_url.parse(self._server.url(name))
        process = Process(operation, {**settings, "OPTIONS": {}}, stops_after)
        process.start()
        self._processes.append(process)
        return process

    def assert_free(self, name: str) -> None:
        with contextlib.closing(self._server.connect(name)) as other:
            other.execute(f"SET statement_timeout = '{PATIENCE_SECONDS}s'")
            other.execute("BEGIN")
            other.execute(f"LOCK TABLE {TABLES} IN EXCLUSIVE MODE")
            other.execute("SELECT pg_advisory_xact_lock(%s)", [_ADVISORY_LOCK])
            other.execute("ROLLBACK")

    def wait_until_waiting(self, name: str, number: int) -> None:
        """Wait until that many processes wait for a lock."""
        with contextlib.closing(self._server.connect(name)) as other:
            waiting, ends = 0, time.monotonic() + WAIT_SECONDS
            while waiting < number:
                assert time.monotonic() < ends, f"{waiting} processes wait for a lock"
                (waiting,) = other.execute(
                    "SELECT count(*) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND wait_event_type = 'Lock'"
                ).fetchone()

    def remove(self) -> None:
        for process in self._processes:
            process.kill()
        for name in self._names:
            self._server.drop(name)
        self._names, self._processes = [], []


@pytest.fixture
def copies(prepared, django_db_blocker) -> Iterator[Copies]:
    if prepared.vendor != "postgresql":
        pytest.skip("only on PostgreSQL: on SQLite only the process itself can end its transaction")
    copies = Copies(prepared)
    with django_db_blocker.unblock():
        try:
            yield copies
        finally:
            copies.remove()


def begun(operation: Operation) -> Operation:
    """The operation in a log that has begun and in which nothing waits."""

    def prepare() -> None:
        positions.ensure_epoch()
        sequence(positions.probe())
        operation.prepare()

    return Operation(prepare, operation.work)


@pytest.mark.parametrize(
    ("name", "step"),
    [
        *((name, LONG_STEP if name in LONG else 1) for name in OPERATIONS),
        *(pytest.param(name, 1, marks=pytest.mark.matrix) for name in LONG),
    ],
)
def test_a_process_frozen_after_any_statement_holds_up_others_for_five_seconds(copies, name, step):
    """Writers, sequencers, migrations and pruning of other processes."""
    operation = begun(OPERATIONS[name])
    whole = copies.process(operation, copies.add(), 0)
    whole.wait_until_prepared()
    statements = whole.work()

    def freeze_and_ask(process: Process, database: str) -> None:
        assert process.work() == 0
        copies.assert_free(database)

    stops = range(1, statements + 1, step)
    for first in range(0, len(stops), AT_ONCE):
        copies.remove()
        chosen = stops[first : first + AT_ONCE]
        databases = [copies.add() for _ in chosen]
        processes = [
            copies.process(operation, database, stops_after)
            for database, stops_after in zip(databases, chosen, strict=True)
        ]
        for process in processes:
            process.wait_until_prepared()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for number, outcome in zip(
                chosen, pool.map(_caught(freeze_and_ask), processes, databases), strict=True
            ):
                assert outcome is None, f"frozen after statement {number} of {statements}: {outcome}"


@pytest.mark.parametrize(
    "work",
    [lambda: lease.acquire("one"), lambda: lease.release("one"), lambda: broadcast("text")],
    ids=["acquire the lease", "release the lease", "broadcast"],
)
def test_work_without_a_transaction_holds_nothing(copies, work):
    """Each is one statement, at whose end its locks are released: the lease's, and a notice."""
    process = copies.process(begun(Operation(lambda: None, work)), copies.add(), 0)
    process.wait_until_prepared()

    assert process.work() == 0


@pytest.mark.parametrize(
    "name, locking", [("sequence", 2), ("prune", 3), ("begin an epoch", 2), ("redeem a ticket", 2)]
)
def test_processes_that_freeze_in_a_queue_hold_up_others_together(copies, name, locking):
    """``locking`` is the number of the statement that locks something.

    Those that wait for a lock when they freeze do not get it one after the other, each for five seconds.
    """
    database, operation = copies.add(), OPERATIONS[name]
    first = copies.process(begun(operation), database, locking)
    first.wait_until_prepared()
    assert first.work() == 0, "it did not stop"
    queue = [copies.process(Operation(lambda: None, operation.work), database, locking) for _ in range(3)]
    for process in queue:
        process.wait_until_prepared()
        process.begin()

    copies.wait_until_waiting(database, len(queue))

    copies.assert_free(database)


def _caught(function: Callable[..., None]) -> Callable[..., Exception | None]:
    def call(*args: object) -> Exception | None:
        try:
            function(*args)
        except Exception as error:
            return error
        return None

    return call
