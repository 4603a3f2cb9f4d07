"""The disk that holds the database is full for a while: writers fail, and all goes on when there is room again."""

import contextlib
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import Client
from tests.support.servers import Project, Server, copy

MEGABYTES = 6
ROOM = 400_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, which only root can make."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", folder], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"A FULL DISK IS NOT TESTED: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


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
