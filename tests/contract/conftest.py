"""Every test here runs on each database: SQLite in a file, PostgreSQL in a server that the tests start."""

import contextlib
import itertools
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import dj_database_url
import pytest
from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connections

from realtime.databases.outbox import Probe
from realtime.delivery.topic_reads import TopicReads
from realtime.engine.topic import Topic
from realtime.models import LogEntry
from realtime.publishing import commit_watch, log, positions
from realtime.publishing.sequencer import Batch, sequence
from realtime.publishing.slow_feeds import SlowFeeds, slow_feeds
from realtime.runtime.threads import DatabaseThreads, close_all
from tests.delivery.conftest import CountingHub, Wire
from tests.support import databases
from tests.support.databases import postgresql  # noqa: F401

numbers = itertools.count(1)


def pytest_collection_modifyitems(items) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.server)


@pytest.fixture(autouse=True)
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the writes of this thread wake publishers again after a test that has run the publisher's work in it."""
    monkeypatch.setattr(commit_watch._ignored, "on", False, raising=False)


class Database:
    """A database of one test, which is Django's default database meanwhile."""

    def __init__(self, vendor: str, source: Path | databases.PostgreSQL, name: str) -> None:
        self.vendor, self.source, self.name = vendor, source, name

    @property
    def settings(self) -> Mapping[str, Any]:
        if isinstance(self.source, Path):
            return {"ENGINE": "django.db.backends.sqlite3", "NAME": self.source / self.name}
        return dj_database_url.parse(self.source.url(self.name))

    def connect(self, user: str = "postgres"):
        """Return a plain connection, as any other program opens it."""
        if isinstance(self.source, Path):
            return sqlite3.connect(self.source / self.name, timeout=1, isolation_level=None)
        return self.source.connect(self.name, user)

    def sql(self, *statements: str) -> None:
        """Run statements as another program, each in its own transaction."""
        with contextlib.closing(self.connect()) as connection:
            for statement in statements:
                connection.execute(statement)

    def probe(self) -> Probe:
        return positions.probe()

    def sequence(self) -> Batch | None:
        return sequence(positions.probe())

    @contextlib.contextmanager
    def is_default(self) -> Iterator[None]:
        kept = connections.settings["default"]
        options = settings.DATABASE_OPTIONS[str(self.settings["ENGINE"])]
        connections["default"].close()
        del connections["default"]
        connections.settings["default"] = {**kept, **self.settings, "OPTIONS": dict(options)}
        ContentType.objects.clear_cache()
        try:
            yield
        finally:
            connections["default"].close()
            del connections["default"]
            connections.settings["default"] = kept
            ContentType.objects.clear_cache()

    @contextlib.contextmanager
    def in_preparation(self) -> Iterator[None]:
        """Make it the default while it is prepared, and ready to be copied."""
        with self.is_default():
            yield
            if self.vendor == "sqlite":
                connections["default"].cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextlib.contextmanager
def copy_of(prepared: Database) -> Iterator[Database]:
    name = f"test_{next(numbers)}"
    if isinstance(prepared.source, Path):
        shutil.copy(prepared.source / prepared.name, prepared.source / name)
    else:
        prepared.source.copy(prepared.name, name)
    yield Database(prepared.vendor, prepared.source, name)
    if isinstance(prepared.source, databases.PostgreSQL):
        prepared.source.drop(name)


class Follower:
    """A topic held by a process that reads only the log."""

    def __init__(self, name: str) -> None:
        self.topic = Topic(name)
        self.reads = 0
        self._read()

    def follow(self) -> list[LogEntry]:
        """Apply the missed entries of the log and return them."""
        feed = self.topic.name.partition(".")[0]
        missed = log.missed(self.topic.name, feed, self.topic.position.offset)
        if not missed.is_whole or any(entry.kind == LogEntry.Kind.RESET for entry in missed.entries):
            self._read()
            return missed.entries
        for entry in missed.entries:
            changes = log_changes(entry)
            self.topic.apply(entry.after, entry.begins, entry.position, changes)
        return missed.entries

    def _read(self) -> None:
        reading = positions.read_topic(self.topic.name)
        self.topic.load(reading.position, reading.rows, reading.unchanged_since)
        self.reads += 1

    def assert_equals_source(self) -> None:
        assert contents(self.topic.rows) == contents(positions.read_topic(self.topic.name).rows)


def log_changes(entry: LogEntry):
    from realtime.engine.messages import decode_changes

    return decode_changes(entry.payload)


def contents(rows) -> list[tuple[str, str, bytes, Any]]:
    return [(row.key, row.order, bytes(row.row), row.html) for row in rows]


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def prepared(request, tmp_path_factory, django_db_blocker) -> Database:
    """A migrated database with three boards, to be copied; created again after tests of the other vendor."""
    name = f"prepared_{next(numbers)}"
    if request.param == "sqlite":
        database = Database("sqlite", tmp_path_factory.mktemp("contract"), name)
    else:
        server = request.getfixturevalue("postgresql")
        database = Database("postgresql", server, name)
        with contextlib.closing(server.connect()) as connection:
            connection.execute(f"CREATE DATABASE {name}")
    with django_db_blocker.unblock(), database.in_preparation():
        call_command("migrate", verbosity=0)
        fill()
    return database


def fill() -> None:
    from realtime.boards.models import Board, Entry

    Board.objects.bulk_create(Board(slug=f"board-{number}", title=f"Board {number}") for number in (1, 2, 3))
    Entry.objects.bulk_create(
        Entry(board_id=1 + number % 2, label=f"entry {number}", position=number) for number in range(1, 11)
    )


@pytest.fixture
def no_slow_feeds(settings) -> Iterator[None]:
    """On a loaded machine no feed is slow; one that a test makes slow stays so in this test, and in no other."""
    settings.REALTIME = {"FEED_SECONDS": 60.0, **settings.REALTIME}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in vars(SlowFeeds(clock=lambda: 0.0)).items():
            patch.setattr(slow_feeds, name, value)
        yield


@pytest.fixture
def database(prepared, django_db_blocker, no_slow_feeds) -> Iterator[Database]:
    """A fresh copy with a log and a sequenced outbox."""
    with copy_of(prepared) as database, django_db_blocker.unblock(), database.is_default():
        positions.ensure_epoch()
        database.sequence()
        yield database


@pytest.fixture
def only_postgresql(prepared) -> None:
    """Skip the test on SQLite, before a copy is made."""
    if prepared.vendor != "postgresql":
        pytest.skip("only on PostgreSQL")


@pytest.fixture
def only_sqlite(prepared) -> None:
    if prepared.vendor != "sqlite":
        pytest.skip("only on SQLite")


@pytest.fixture
def on_postgresql(only_postgresql, database) -> Database:
    return database


@pytest.fixture
def on_sqlite(only_sqlite, database) -> Database:
    return database


@pytest.fixture
async def in_database(database) -> AsyncIterator[Any]:
    """A function that gives another one access to the test's database, in a thread whose connection ends with it."""
    thread = DatabaseThreads("test", 1)
    yield thread.run
    await close_all(thread)


@pytest.fixture
async def make_hub(database, layer, in_database) -> AsyncIterator[Any]:
    """A function that starts the hub of another process: ``await make_hub(follow_seconds)``."""
    wires, pools = [], []

    async def make(follow_seconds: float = 0.01) -> Wire:
        readers, topics = DatabaseThreads("test-reader", 2), DatabaseThreads("test-topic", 2)
        pools.extend([readers, topics])
        reads = TopicReads(topics, 2)
        hub = CountingHub(layer, readers, reads, follow_seconds)
        wires.append(Wire(hub, readers, reads, layer, in_database, database))
        await hub.start()
        return wires[-1]

    yield make
    for wire in wires:
        await wire.hub.stop()
    await close_all(*pools)
