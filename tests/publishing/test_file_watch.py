"""Writes to a database's file are heard of, whoever makes them; where nothing tells of them nothing breaks."""

import asyncio
import contextlib
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator

import pytest
from django.db import connections

from realtime.publishing import file_watch
from realtime.publishing.file_watch import FileWatch, watch
from tests.conftest import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of writes")


@pytest.fixture(params=["wal", "delete"])
def database(request, tmp_path) -> Iterator[sqlite3.Connection]:
    """An SQLite database in a file, in either journal mode, as any program would have it open."""
    with contextlib.closing(sqlite3.connect(tmp_path / "db.sqlite3", isolation_level=None)) as opened:
        opened.execute(f"PRAGMA journal_mode = {request.param}")
        opened.execute("CREATE TABLE told (value)")
        yield opened


@pytest.fixture
async def heard(database, tmp_path) -> AsyncIterator[list[int]]:
    """Grows by one each time that something is heard of that database."""
    times: list[int] = []
    watched = FileWatch(tmp_path / "db.sqlite3", lambda: times.append(1))
    yield times
    watched.close()


async def test_each_write_is_heard_of(database, heard):
    """Also those by a connection that was there before, and after long quiet."""
    for number in range(3):
        database.execute("INSERT INTO told VALUES (?)", [number])
        await until(lambda: heard)
        await asyncio.sleep(2 * file_watch.REST_SECONDS)
        heard.clear()


async def test_a_database_that_is_put_in_its_place_is_heard_of(database, heard, tmp_path):
    """A restored backup is another file of that name."""
    (tmp_path / "db.sqlite3").rename(tmp_path / "old.sqlite3")
    with contextlib.closing(sqlite3.connect(tmp_path / "db.sqlite3")) as other:
        other.execute("CREATE TABLE told (value)")

    await until(lambda: heard)


async def test_other_files_tell_nothing(heard, tmp_path):
    """A log beside the database wakes nobody."""
    (tmp_path / "server.log").write_text("a line")
    await asyncio.sleep(5 * file_watch.REST_SECONDS)

    assert not heard


async def test_a_flood_is_heard_of_once_until_the_rest_is_over(database, heard, monkeypatch):
    """However many commits there are, and however long they take."""
    monkeypatch.setattr(file_watch, "REST_SECONDS", 1000)
    for number in range(20):
        database.execute("INSERT INTO told VALUES (?)", [number])
        await asyncio.sleep(0.001)

    assert len(heard) == 1


async def test_what_is_known_is_skipped(database, tmp_path):
    """The publisher's own writes; not what comes after them."""
    heard: list[int] = []
    watched = FileWatch(tmp_path / "db.sqlite3", lambda: heard.append(1))
    database.execute("INSERT INTO told VALUES (1)")
    watched.skip()
    await asyncio.sleep(5 * file_watch.REST_SECONDS)
    assert not heard

    database.execute("INSERT INTO told VALUES (2)")
    await until(lambda: heard)
    watched.close()


async def test_nothing_is_heard_after_the_end(database, tmp_path):
    """Neither by a watch that listens nor by one that rests."""
    heard: list[int] = []
    listens, rests = (FileWatch(tmp_path / "db.sqlite3", lambda: heard.append(1)) for _ in range(2))
    database.execute("INSERT INTO told VALUES (1)")
    rests._read()
    heard.clear()
    listens.close()
    rests.close()

    database.execute("INSERT INTO told VALUES (2)")
    await asyncio.sleep(5 * file_watch.REST_SECONDS)

    assert not heard


async def test_what_cannot_be_watched_is_left_to_the_tick(monkeypatch, settings, lines, log):
    """A user may have no watch left; a database may be no file, or the system none that tells."""

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(file_watch.INotify, "add_watch", refuse)
    assert watch(lambda: None) is None
    assert [line for line in lines() if "is not watched" in line] == [
        "the database's file is not watched, its writes are found by the tick: [Errno 28] No space left on device"
    ]

    monkeypatch.setattr(file_watch, "INotify", None)
    assert watch(lambda: None) is None


@pytest.mark.parametrize("name", [":memory:", "file:memorydb_default?mode=memory&cache=shared"])
async def test_a_database_in_memory_is_not_watched(monkeypatch, name):
    """There is no file."""
    monkeypatch.setitem(connections["default"].settings_dict, "NAME", name)

    assert watch(lambda: None) is None
