"""Servers stop, are killed, and start again: pages that were open converge by themselves."""

import signal
import subprocess
import sys

import pytest

from realtime.engine.messages import Bye
from tests.support.client import Client
from tests.support.servers import ROOT, running


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
async def test_changes_made_while_the_server_was_down_appear(server, number):
    """Stop it, change rows with sqlite3, start it: an open page has them, without a reload."""
    database = server.project.connect()
    async with Client(server.socket_url, "entries.1", "html") as client:
        await client.until_snapshot()

        server.stop(number)
        database.execute("UPDATE boards_entry SET label = 'written in the dark' WHERE id = 1")
        database.execute("DELETE FROM boards_entry WHERE id = 2")
        server.start()

        await client.until(lambda: "written in the dark" in str(client.replica.rows.get("1")))
        assert "2" not in client.replica.rows
        assert "3" in client.replica.rows


async def test_a_stopping_server_says_when_to_come_back(server):
    """SIGTERM: every connection gets a bye with its own delay, and the process ends by itself."""
    async with Client(server.socket_url, "entries.1") as one, Client(server.socket_url, "entries.2") as other:
        for client in (one, other):
            await client.until_snapshot()

        server.stop()

        for client in (one, other):
            await client.until(lambda client=client: isinstance(client.seen[-1], Bye))
            bye = client.seen[-1]
            assert bye.code == 4512
            assert 0 <= bye.retry_after_seconds <= 5
    log = server.log.read_text()
    assert "Traceback" not in log
    assert "realtime.service: stopped" in log


async def test_triggers_lost_by_a_table_remake_come_back_with_the_next_start(server):
    """Whoever rebuilt the table: a starting server installs what is missing and reads the rows anew."""
    database = server.project.connect()
    async with Client(server.socket_url, "entries.1") as client:
        await client.until_snapshot()
        server.stop()
        for (name,) in database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'boards_entry'"
        ).fetchall():
            database.execute(f'DROP TRIGGER "{name}"')
        database.execute("UPDATE boards_entry SET label = 'nobody noted this' WHERE id = 1")

        server.start()

        await client.until(lambda: "nobody noted this" in str(client.replica.rows.get("1")))


async def test_a_server_without_publisher_follows_manage_py_publish(project):
    """Publishing may be left to a process of its own; the server follows the log."""
    project.environment["PUBLISHER"] = "off"
    with running(project, "uvicorn") as server:
        publisher = subprocess.Popen(
            [sys.executable, "manage.py", "publish"],
            cwd=ROOT,
            env=project.environment,
            stdout=subprocess.PIPE,
        )
        try:
            assert publisher.stdout.readline().startswith(b"publishing as")
            async with Client(server.socket_url, "entries.1") as client:
                await client.until_snapshot()
                project.connect().execute("UPDATE boards_entry SET label = 'by publish' WHERE id = 1")
                await client.until(lambda: "by publish" in str(client.replica.rows["1"]))
        finally:
            publisher.send_signal(signal.SIGTERM)
            output, _ = publisher.communicate(timeout=20)
    assert publisher.returncode == 0
    assert output.decode().endswith("stopped\n")
