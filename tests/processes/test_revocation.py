"""Rights that are taken away, on two servers: whoever followed by them is told, and hears nothing more."""

import asyncio
import contextlib
import json
import subprocess
import sys
import time

import pytest

from realtime.engine.messages import Error
from tests.support import servers
from tests.support.client import Client
from tests.support.editor import Editor
from tests.support.servers import ROOT, Project, Server


def strike(project: Project, what: str) -> dict[str, tuple[str, str]]:
    command = [sys.executable, "-m", "tests.apps.restricted.strike", what]
    done = subprocess.run(
        command, cwd=ROOT, env=project.environment, capture_output=True, check=True, timeout=60
    )
    return json.loads(done.stdout)


def refused(client: Client) -> bool:
    return any(isinstance(message, Error) and message.code == 4403 for message in client.seen)


@pytest.mark.parametrize("layer", ["in memory", "valkey", "valkey, killed"])
async def test_each_kind_of_right_that_is_lost_ends_what_it_allowed(layer, prepared, tmp_path, valkey):
    """On the server where it happened and on the other, by Django or in SQL, with a layer and without."""
    environment = {"DJANGO_SETTINGS_MODULE": "tests.apps.restricted.settings", "HEARTBEAT_SECONDS": "2"}
    if layer != "in memory":
        environment["REDIS_URL"] = valkey.url
    project = servers.copy(prepared, tmp_path / "project", **environment)
    visitors = strike(project, "prepare")
    async with contextlib.AsyncExitStack() as stack:
        running = [stack.enter_context(servers.running(project, name)) for name in ("daphne", "uvicorn")]
        clients = {
            (name, server.name): await stack.enter_async_context(follower(server, *visitor))
            for name, visitor in visitors.items()
            for server in running
        }
        witness = await stack.enter_async_context(Client(running[0].socket_url, "entries.1"))
        for client in (*clients.values(), witness):
            await client.until_snapshot()
        if layer == "valkey, killed":
            valkey.kill()

        for way in ("django", "sql"):
            await asyncio.to_thread(strike, project, way)
            began = time.monotonic()
            for (name, server), client in clients.items():
                if name.endswith(way):
                    await client.until(lambda client=client: refused(client), 60)
                    print(f"{layer}: {name} at {server} within {time.monotonic() - began:.1f} s")

        with contextlib.closing(project.connect()) as database:
            database.execute("UPDATE boards_entry SET value = 'after the right' WHERE board_id = 3")
            database.execute("UPDATE boards_entry SET value = 'for everybody' WHERE board_id = 1")
        await witness.until(lambda: "for everybody" in str(witness.replica.rows))
        for (name, server), client in clients.items():
            assert "after the right" not in str(client.seen), f"{name} at {server}"
            assert client.connections == 1
    for server in running:
        assert "Traceback" not in server.log.read_text()


def follower(server: Server, session: str, topic: str) -> Client:
    return Client(server.socket_url, topic, headers={"Origin": server.url, "Cookie": f"sessionid={session}"})


async def test_a_new_secret_key_signs_nobody_out_by_opening_a_page(project):
    """With the old key among the fallbacks: the socket reads the session, and leaves it as it is."""
    project.environment["SECRET_KEY"] = "the old key"
    with servers.running(project) as server:
        editor = await asyncio.to_thread(Editor, server.url)
    project.environment |= {"SECRET_KEY": "the new key", "SECRET_KEY_FALLBACKS": "the old key"}
    server.start()
    try:
        async with follower(server, editor.session, "staffboards") as client:
            await client.until_snapshot()

        assert await asyncio.to_thread(editor.is_signed_in)
    finally:
        server.stop()


async def test_without_the_old_key_a_page_is_nobodys_and_the_session_stays(project):
    """Until the key comes back, for instance: whoever looks at a session does not end it."""
    project.environment["SECRET_KEY"] = "the old key"
    with servers.running(project) as server:
        editor = await asyncio.to_thread(Editor, server.url)
    project.environment["SECRET_KEY"] = "the new key"
    server.start()
    async with follower(server, editor.session, "staffboards") as client:
        await client.until(lambda: refused(client))
    server.stop()
    project.environment["SECRET_KEY"] = "the old key"
    server.start()
    try:
        assert await asyncio.to_thread(editor.is_signed_in)
    finally:
        server.stop()
