"""The Python client against real servers that are killed, restarted and written to meanwhile."""

import asyncio
import contextlib
import re
import signal
import subprocess
import sys

import pytest

from realtime.client import Change, Follower, Refused, follow, tickets
from tests.processes.sockets import PATIENCE_SECONDS
from tests.support.servers import PASSWORD, ROOT, Server


class Mirror:
    """What a program makes of the changes alone: it must be the topic."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}

    def apply(self, change: Change) -> None:
        if change.op == "delete":
            del self.rows[change.key]
        else:
            self.rows[change.key] = change.row["label"]


def labels(server: Server) -> dict[str, str]:
    rows = server.project.connect().execute("SELECT id, label FROM boards_entry WHERE board_id = 1")
    return {str(key): label for key, label in rows}


async def until_equal(follower: Follower, mirror: Mirror, server: Server) -> None:
    """Follow until the mirror is what the database has."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while mirror.rows != labels(server):
            mirror.apply(await anext(follower))


async def test_nothing_is_lost_when_the_server_is_killed(server: Server) -> None:
    """What was inserted, changed and deleted while there was no server is yielded once it is back, and no snapshot."""
    database, mirror = server.project.connect(), Mirror()
    async with follow(server.url, "entries.1") as follower:
        await until_equal(follower, mirror, server)
        # The log begins with the first change that is sequenced; a position before it has no epoch to resume in.
        database.execute("UPDATE boards_entry SET label = 'begun' WHERE id = 1")
        await until_equal(follower, mirror, server)

        server.stop(signal.SIGKILL)
        database.execute("UPDATE boards_entry SET label = 'while it was down' WHERE id = 1")
        database.execute("DELETE FROM boards_entry WHERE id = 2")
        database.execute("INSERT INTO boards_entry (id, board_id, label) VALUES (70707, 1, 'new')")
        restarting = asyncio.create_task(asyncio.to_thread(server.start))
        await until_equal(follower, mirror, server)

        await restarting
        assert "2" not in mirror.rows
        assert {key: row["label"] for key, row in follower.rows.items()} == mirror.rows
        assert follower.corrections == 0


async def test_rights_hold_and_a_ticket_opens_the_door(shared: Server) -> None:
    """A stranger is told what to do; the editor reads the same topic, with a password and with a cookie."""
    with pytest.raises(Refused, match="can_subscribe"):
        await asyncio.wait_for(anext(follow(shared.url, "entries.3")), PATIENCE_SECONDS)
    with pytest.raises(Refused, match="check the name"):
        await asyncio.wait_for(anext(follow(shared.url, "nothing.3")), PATIENCE_SECONDS)

    ticket = tickets(shared.url, "editor", PASSWORD)
    async with follow(shared.url, "entries.3", format="html", ticket=ticket) as follower:
        first = await asyncio.wait_for(anext(follower), PATIENCE_SECONDS)

    assert "data-key" in first.row


async def test_a_slow_program_gets_everything_in_the_end(shared: Server) -> None:
    """It reads one change while the server sends two hundred: they arrive merged, or after a reconnect."""
    database, mirror = shared.project.connect(), Mirror()
    async with follow(shared.url, "entries.1") as follower:
        await until_equal(follower, mirror, shared)
        for number in range(200):
            database.execute("UPDATE boards_entry SET label = ? WHERE board_id = 1", [f"turn {number}"])
            with contextlib.suppress(TimeoutError):
                mirror.apply(await asyncio.wait_for(anext(follower), 0.001))

        await until_equal(follower, mirror, shared)

        assert set(mirror.rows.values()) == {"turn 199"}


@pytest.mark.parametrize("number", [0, 1], ids=["async for", "for"])
async def test_the_examples_of_the_guide_print_rows(shared: Server, number: int) -> None:
    """docs/python.md, as it is printed, with this server's address."""
    blocks = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "docs" / "python.md").read_text(), re.DOTALL | re.MULTILINE
    )
    program = blocks[number].replace("http://127.0.0.1:8000/", shared.url)

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-u", "-c", program, cwd=ROOT, stdout=subprocess.PIPE
    )
    line = await asyncio.wait_for(process.stdout.readline(), PATIENCE_SECONDS)
    process.kill()
    await process.communicate()

    assert line.startswith(b"upsert ")
