"""A backup of an older release is restored under running servers, by the recipe of docs/deploy.md."""

import contextlib
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.client import Client
from tests.support.servers import Project, copy, running

OLDER = [("boards", "0012"), ("realtime", "0010")]
"""The last migrations of an older release."""


@pytest.mark.skipif(
    shutil.which("sqlite3") is None, reason="sqlite3 IS NOT INSTALLED: RESTORING IS NOT TESTED"
)
async def test_a_backup_of_an_older_release_reaches_open_pages(prepared: Project, tmp_path: Path) -> None:
    """It lacks tables and columns until ``migrate`` has run; pages stay connected, and then have its rows."""
    older = copy(prepared, tmp_path / "older")
    for app, migration in OLDER:
        older.manage("migrate", app, migration)
    backup = tmp_path / "backup.sqlite3"
    with contextlib.closing(older.connect()) as database:
        database.execute("UPDATE boards_entry SET value = 'of the backup' WHERE id = 1")
        database.execute("VACUUM INTO ?", [str(backup)])
    project = copy(prepared, tmp_path / "newer", HEARTBEAT_SECONDS="2")
    with running(project) as server:
        async with Client(server.socket_url, "entries.1") as page:
            await page.until_snapshot()

            restore = ["sqlite3", str(project.database), ".timeout 20000", f".restore {backup}"]
            subprocess.run(restore, check=True)
            project.manage("migrate")
            project.manage("restart_log")

            await page.until_row("1", "of the backup")
            with contextlib.closing(project.connect()) as database:
                database.execute("UPDATE boards_entry SET value = 'afterwards' WHERE id = 1")
            await page.until_row("1", "afterwards")
            assert page.connections == 1
