"""A real server records what programs write, in hidden entries too."""

import json
import sqlite3
import time

import pytest

from tests.support import servers
from tests.support.servers import Project

pytestmark = pytest.mark.server


def wait_for(database: sqlite3.Connection, query: str) -> list[tuple]:
    deadline = time.monotonic() + 60
    while not (rows := database.execute(query).fetchall()):
        assert time.monotonic() < deadline, query
        time.sleep(0.1)
    return rows


def test_what_programs_write_is_recorded(tmp_path):
    """First the entries as they are, then each change, without an editor's name, and numbers for charts."""
    project = Project(tmp_path, DJANGO_SETTINGS_MODULE="config.settings")
    project.manage("migrate", "--verbosity", "0")
    project.manage("demo")
    database = project.connect()
    of_first = 'SELECT "values" FROM boards_revision WHERE entry = 1 AND '
    with servers.running(project):
        wait_for(database, of_first + "is_baseline")

        database.execute("UPDATE boards_entry SET is_visible = 0 WHERE id = 1")
        wait_for(database, of_first + '"values" LIKE \'%is_visible": "False%\'')
        database.execute("UPDATE boards_entry SET value = '23:59' WHERE id = 1")
        ((values,),) = wait_for(database, of_first + "\"values\" LIKE '%23:59%' AND actor_id IS NULL")

        database.execute("UPDATE boards_board SET chart_days = 30")
        database.execute("UPDATE boards_entry SET value = '7.5' WHERE id = 1")
        assert wait_for(database, "SELECT value FROM boards_reading WHERE entry = 1") == [(7.5,)]

        of_board = 'SELECT 1 FROM boards_revision WHERE entry = -1 AND NOT is_baseline AND "values" LIKE '
        wait_for(database, of_board + "'%chart_days\": \"30%'")
        database.execute("INSERT INTO boards_boardstatus (board_id, name, word) VALUES (1, 'late', 'Late')")
        wait_for(database, of_board + "'%status:late%'")

    assert json.loads(values)["value"] == "23:59"
