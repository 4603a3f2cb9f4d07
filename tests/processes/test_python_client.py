"""The Python client against real servers that are killed, restarted and written to meanwhile."""

import asyncio
import contextlib
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import pytest

from realtime.client import Change, Follower, NotSent, Presence, Refused, follow, listen, tickets
from tests.processes.sockets import PATIENCE_SECONDS
from tests.support import servers
from tests.support.servers import PASSWORD, ROOT, Project, Server


@pytest.fixture(scope="module", params=["daphne", "uvicorn"])
def shared(
    request: pytest.FixtureRequest, prepared: Project, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A running server, once of each kind, where subscribers of entries see each other and may broadcast."""
    environment = {"DJANGO_SETTINGS_MODULE": "tests.apps.sociable.settings", "HEARTBEAT_SECONDS": "2"}
    folder = tmp_path_factory.mktemp("sociable") / "project"
    with servers.running(servers.copy(prepared, folder, **environment), request.param) as server:
        yield server


class Mirror:
    """The rows that a program builds from the changes alone; they must be those of the topic."""

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
    """Inserts, changes and deletes while there was no server are yielded once it is back, and no snapshot."""
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


async def read_on(follower: Follower) -> None:
    async for _ in follower:
        pass


async def test_users_see_each_other_and_send_under_their_names(shared: Server) -> None:
    """The listener is a viewer, too; a topic of which the sender may not read is refused as by ``follow``."""
    ticket = tickets(shared.url, "editor", PASSWORD)
    async with (
        asyncio.timeout(2 * PATIENCE_SECONDS),
        listen(shared.url, "entries.1") as listener,
        follow(shared.url, "entries.1", ticket=ticket) as follower,
    ):
        reading = asyncio.create_task(read_on(follower))
        while listener.presence is None or "editor" not in listener.presence.names:
            await anext(listener)
        viewers = listener.presence.viewers
        await follower.abroadcast("typing", {"row": "1"})
        while isinstance(message := await anext(listener), Presence):
            pass
        reading.cancel()

    assert viewers >= 2
    assert (message.event, message.payload, message.name) == ("typing", {"row": "1"}, "editor")
    async with asyncio.timeout(PATIENCE_SECONDS), listen(shared.url, "entries.3") as secret:
        with pytest.raises((Refused, NotSent), match="4403"):
            await secret.abroadcast("typing")


async def test_a_feed_without_can_broadcast_refuses_with_words(shared: Server) -> None:
    """The subscription is still good."""
    async with asyncio.timeout(PATIENCE_SECONDS), follow(shared.url, "boards") as follower:
        with pytest.raises(NotSent, match="can_broadcast"):
            await follower.abroadcast("typing")

        assert (await anext(follower)).op == "upsert"


def examples(shared: Server) -> list[str]:
    """Return the programs of docs/python.md, with this server's address."""
    page = (ROOT / "docs" / "python.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    return [block.replace("http://127.0.0.1:8000/", shared.url) for block in blocks]


@contextlib.asynccontextmanager
async def running(program: str) -> AsyncIterator[asyncio.StreamReader]:
    """Run a program, and give what it prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-u", "-c", program, cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            yield process.stdout
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("number", [0, 1], ids=["async for", "for"])
async def test_the_examples_of_the_guide_print_rows(shared: Server, number: int) -> None:
    """docs/python.md, as it is printed."""
    async with running(examples(shared)[number]) as output:
        assert (await output.readline()).startswith(b"upsert ")


async def test_the_examples_of_the_guide_send_and_receive(shared: Server) -> None:
    """One program listens, the other one sends."""
    _, _, listening, sending = examples(shared)
    async with running(listening) as output:
        assert b" viewers:" in await output.readline()
        async with running(sending) as sent:
            assert await sent.readline() == b"sent\n"
        while b" viewers:" in (line := await output.readline()):
            pass

    assert line.endswith(b" typing {'row': '12'}\n")
