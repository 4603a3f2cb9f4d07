"""Servers are stopped or killed and start again: pages that were open converge without a reload."""

import signal
import subprocess
import sys

import pytest

from realtime.engine.messages import Bye
from tests.support.client import Client
from tests.support.servers import ROOT, Project, Server, running


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
async def test_changes_made_while_the_server_was_down_appear(server: Server, number: int) -> None:
    """Rows are changed with sqlite3 while the server is down; an open page shows them after the start."""
    database = server.project.connect()
    async with Client(server.socket_url, "entries.1", "html") as client:
        await client.until_snapshot()

        server.stop(number)
        database.execute("UPDATE boards_entry SET label = 'written meanwhile' WHERE id = 1")
        database.execute("DELETE FROM boards_entry WHERE id = 2")
        server.start()

        await client.until_row("1", "written meanwhile")
        assert "2" not in client.replica.rows
        assert "3" in client.replica.rows


async def test_a_stopping_server_tells_its_clients_when_to_reconnect(server: Server) -> None:
    """After SIGTERM every connection receives a ``bye`` with its own delay, and the process ends."""
    async with Client(server.socket_url, "entries.1") as one, Client(server.socket_url, "entries.2") as other:
        for client in (one, other):
            await client.until_snapshot()

        server.stop()

        for client in (one, other):
            bye = await client.until_message(Bye)
            assert bye.code == 4512
            assert isinstance(bye.retry_after_seconds, float)
            assert 0 <= bye.retry_after_seconds <= 5
    log = server.log.read_text()
    assert "Traceback" not in log
    assert "realtime.service: stopped" in log


async def test_a_starting_server_installs_missing_triggers(server: Server) -> None:
    """Rebuilding a table drops its triggers; at start they are installed, and pages get rows written in between."""
    database = server.project.connect()
    async with Client(server.socket_url, "entries.1") as client:
        await client.until_snapshot()
        server.stop()
        for (name,) in database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'boards_entry'"
        ).fetchall():
            database.execute(f'DROP TRIGGER "{name}"')
        database.execute("UPDATE boards_entry SET label = 'written without triggers' WHERE id = 1")

        server.start()

        await client.until_row("1", "written without triggers")


async def test_a_server_without_a_publisher_receives_changes_from_manage_py_publish(
    project: Project,
) -> None:
    """Publishing can run in its own process; the server then reads the log."""
    project.environment["PUBLISHER"] = "off"
    with running(project, "uvicorn") as server:
        publisher = subprocess.Popen(
            [sys.executable, "manage.py", "publish"],
            cwd=ROOT,
            env=project.environment,
            stdout=subprocess.PIPE,
        )
        try:
            assert publisher.stdout is not None
            assert publisher.stdout.readline().startswith(b"publishing as")
            async with Client(server.socket_url, "entries.1") as client:
                await client.until_snapshot()
                project.connect().execute("UPDATE boards_entry SET label = 'by publish' WHERE id = 1")
                await client.until_row("1", "by publish")
        finally:
            publisher.send_signal(signal.SIGTERM)
            output, _ = publisher.communicate(timeout=60)
    assert publisher.returncode == 0
    assert output.decode().endswith("stopped\n")
