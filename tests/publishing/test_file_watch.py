"""Writes to a database's file are noticed, by whatever program; where they cannot be, nothing fails."""

import asyncio
import contextlib
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator

import pytest
from django.db import connections
from inotify_simple import INotify

from realtime.publishing import file_watch
from realtime.publishing.file_watch import FileWatch, watch
from tests.conftest import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports writes to files")


@pytest.fixture(params=["wal", "delete"])
def database(request, tmp_path) -> Iterator[sqlite3.Connection]:
    """An SQLite database in a file, in either journal mode, opened as any program would."""
    with contextlib.closing(sqlite3.connect(tmp_path / "db.sqlite3", isolation_level=None)) as opened:
        opened.execute(f"PRAGMA journal_mode = {request.param}")
        opened.execute("CREATE TABLE noted (value)")
        yield opened


@pytest.fixture
async def noticed(database, tmp_path) -> AsyncIterator[list[int]]:
    """A list that grows by one with each notice about that database."""
    times: list[int] = []
    watched = FileWatch(tmp_path / "db.sqlite3", lambda: times.append(1))
    yield times
    watched.close()


async def test_each_write_is_noticed(database, noticed):
    """Also by a connection that was open before, and after a pause."""
    for number in range(3):
        database.execute("INSERT INTO noted VALUES (?)", [number])
        await until(lambda: noticed)
        await asyncio.sleep(2 * file_watch.REST_SECONDS)
        noticed.clear()


async def test_a_database_that_replaces_the_file_is_noticed(database, noticed, tmp_path):
    """A restored backup is a new file of the same name."""
    (tmp_path / "db.sqlite3").rename(tmp_path / "old.sqlite3")
    with contextlib.closing(sqlite3.connect(tmp_path / "db.sqlite3")) as other:
        other.execute("CREATE TABLE noted (value)")

    await until(lambda: noticed)


async def test_writes_to_other_files_are_ignored(noticed, tmp_path):
    """Such as a log file in the same directory."""
    (tmp_path / "server.log").write_text("a line")
    await asyncio.sleep(5 * file_watch.REST_SECONDS)

    assert not noticed


async def test_a_flood_is_noticed_once_until_the_rest_is_over(database, noticed, monkeypatch):
    """Whatever the number and duration of the commits."""
    monkeypatch.setattr(file_watch, "REST_SECONDS", 1000)
    for number in range(20):
        database.execute("INSERT INTO noted VALUES (?)", [number])
        await asyncio.sleep(0.001)

    assert len(noticed) == 1


async def test_skipped_writes_are_not_noticed(database, tmp_path):
    """The publisher skips its own; later writes are noticed."""
    noticed: list[int] = []
    watched = FileWatch(tmp_path / "db.sqlite3", lambda: noticed.append(1))
    database.execute("INSERT INTO noted VALUES (1)")
    watched.skip()
    await asyncio.sleep(5 * file_watch.REST_SECONDS)
    assert not noticed

    database.execute("INSERT INTO noted VALUES (2)")
    await until(lambda: noticed)
    watched.close()


async def test_a_closed_watch_notices_nothing(database, tmp_path):
    """Whether it was listening or resting."""
    noticed: list[int] = []
    listens, rests = (FileWatch(tmp_path / "db.sqlite3", lambda: noticed.append(1)) for _ in range(2))
    database.execute("INSERT INTO noted VALUES (1)")
    rests._read()
    noticed.clear()
    listens.close()
    rests.close()

    database.execute("INSERT INTO noted VALUES (2)")
    await asyncio.sleep(5 * file_watch.REST_SECONDS)

    assert not noticed


async def test_a_file_that_cannot_be_watched_is_left_to_the_tick(monkeypatch, settings, lines, log):
    """The user's number of watches is limited, and some systems report no writes."""

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(INotify, "add_watch", refuse)
    assert watch(lambda: None) is None
    assert [line for line in lines() if "is not watched" in line] == [
        "the database's file is not watched, its writes are found by the tick: [Errno 28] No space left on device"
    ]

    monkeypatch.setattr(file_watch, "INotify", None)
    assert watch(lambda: None) is None


@pytest.mark.parametrize("name", [":memory:", "file:memorydb_default?mode=memory&cache=shared"])
async def test_a_database_in_memory_is_not_watched(monkeypatch, name):
    """It has no file."""
    monkeypatch.setitem(connections["default"].settings_dict, "NAME", name)

    assert watch(lambda: None) is None
