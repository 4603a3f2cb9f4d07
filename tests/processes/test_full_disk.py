"""The disk that holds the database is full for a while: writers fail, and all goes on when there is room again."""

import asyncio
import contextlib
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.client import Client
from tests.support.databases import PostgreSQL
from tests.support.databases import running as running_postgresql
from tests.support.servers import Project, Server, copy, prepare

MEGABYTES = 6
SERVER_MEGABYTES = 160
"""The size of a disk for a PostgreSQL server, which keeps 32 MB of its write-ahead log."""
ROOM = 400_000


@pytest.fixture
def small_disk(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of its own, of a given size in megabytes, which only root can make.

    Not below ``tmp_path``, which is closed to the user of a PostgreSQL server.
    """
    folder = Path(tempfile.mkdtemp(prefix="tidemark-disk-"))
    folder.chmod(0o755)
    options = f"size={request.param}m,mode=755"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True
    )
    if mounted.returncode:
        folder.rmdir()
        pytest.skip(f"A FULL DISK IS NOT TESTED: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)
    folder.rmdir()


def fill(folder: Path) -> Path:
    """Write a file that leaves room for a few dozen changes; return its path."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 65536)
        file.truncate(file.tell() - ROOM)
    return path


def change(database: sqlite3.Connection, value: str) -> bool:
    """Change an entry; return whether there was room."""
    try:
        database.execute("UPDATE boards_entry SET value = ? WHERE id = 1", [value])
    except sqlite3.OperationalError:
        return False
    return True


def write_until_full(database: sqlite3.Connection) -> str:
    """Change an entry until the database refuses; return its last value that was committed."""
    committed = 0
    while change(database, f"number {committed + 1}"):
        committed += 1
    assert committed > 0
    return f"number {committed}"


@pytest.mark.parametrize("small_disk", [MEGABYTES], indirect=True)
@pytest.mark.parametrize("name", ["daphne", "guarded"])
async def test_nothing_committed_is_lost_and_no_restart_is_needed(
    prepared: Project, small_disk: Path, tmp_path: Path, name: str
) -> None:
    """A page misses no change that was committed while the disk was filling up, and receives those made afterwards."""
    project = copy(prepared, small_disk / "project", HEARTBEAT_SECONDS="2")
    server = Server(project, name)
    server.log = tmp_path / "log"
    server.start()
    database = project.connect()
    try:
        async with Client(server.socket_url, "entries.1") as page:
            await page.until_snapshot()
            filler = fill(small_disk)

            committed = write_until_full(database)
            assert not change(database, "without room")
            filler.unlink()

            await page.until_row("1", committed)
            database.execute("UPDATE boards_entry SET value = 'with room again' WHERE id = 1")
            await page.until_row("1", "with room again")
            assert page.connections == 1
    finally:
        server.stop()


@pytest.fixture
def small_postgresql(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgreSQL]:
    """A server whose data, log and socket are on the small disk."""
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    with running_postgresql(max_wal_size="32MB", min_wal_size="32MB") as server:
        monkeypatch.undo()
        yield server


def write_until_refused(postgresql: PostgreSQL) -> str:
    """Change an entry and add ballast until the server refuses; return the last value that was committed."""
    committed = 0
    with contextlib.suppress(psycopg.Error), contextlib.closing(postgresql.connect("crowded")) as database:
        database.execute("CREATE TABLE ballast (text text)")
        while True:
            database.execute("UPDATE boards_entry SET value = %s WHERE id = 1", [f"number {committed + 1}"])
            committed += 1
            database.execute("INSERT INTO ballast SELECT repeat(md5(random()::text), 1000)")
    assert committed > 0
    return f"number {committed}"


@pytest.mark.parametrize("small_disk", [SERVER_MEGABYTES], indirect=True)
async def test_a_full_disk_of_postgresql_loses_nothing_either(
    small_postgresql: PostgreSQL, small_disk: Path, tmp_path: Path
) -> None:
    """It refuses writes, and new connections when its disk has no room at all; the page stays where it is."""
    with contextlib.closing(small_postgresql.connect()) as admin:
        admin.execute("CREATE DATABASE crowded")
    url = small_postgresql.url("crowded")
    project = prepare(tmp_path / "project", DATABASE_URL=url, HEARTBEAT_SECONDS="2")
    server = Server(project)
    server.start()
    try:
        async with Client(server.socket_url, "entries.1") as page:
            await page.until_snapshot()
            filler = fill(small_disk)

            committed = await asyncio.to_thread(write_until_refused, small_postgresql)
            filler.unlink()

            await page.until_row("1", committed)
            with contextlib.closing(small_postgresql.connect("crowded")) as database:
                database.execute("UPDATE boards_entry SET value = 'with room again' WHERE id = 1")
            await page.until_row("1", "with room again")
            assert page.connections == 1
    finally:
        server.stop()
    assert "Traceback" not in server.log.read_text()
