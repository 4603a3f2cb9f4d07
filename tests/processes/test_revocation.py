"""Rights taken away, on two servers: subscribers that lose their right get an error, and no change after it."""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from realtime.engine.messages import Error, encode
from tests.support import servers
from tests.support.client import Client
from tests.support.editor import Editor
from tests.support.servers import ROOT, Project, Server
from tests.support.valkey import Valkey


def strike(project: Project, what: str) -> dict[str, tuple[str, str]]:
    """Run one part of the script that gives and takes rights; return session and topic of each visitor."""
    command = [sys.executable, "-m", "tests.apps.restricted.strike", what]
    done = subprocess.run(
        command, cwd=ROOT, env=project.environment, capture_output=True, check=True, timeout=180
    )
    visitors: dict[str, tuple[str, str]] = json.loads(done.stdout)
    return visitors


async def until_refused(client: Client) -> None:
    def is_refused() -> bool:
        return any(isinstance(message, Error) and message.code == 4403 for message in client.seen)

    await client.until(is_refused)


def received(client: Client) -> str:
    """Return all that a client has received, as text: rows have no text of their own."""
    return str([encode(message, "json") for message in client.seen])


@pytest.mark.parametrize(
    "layer", ["in memory", "valkey", pytest.param("valkey, killed", marks=pytest.mark.matrix)]
)
async def test_losing_any_kind_of_right_ends_the_subscription(
    layer: str, prepared: Project, tmp_path: Path, valkey: Valkey
) -> None:
    """Rights are taken by Django and by SQL; both servers refuse, with and without a layer.

    Visitors who lose a board are sent nothing that was written in the transaction that closed it.
    """
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
        outsiders = [
            await stack.enter_async_context(Client(server.socket_url, topic))
            for server in running
            for topic in ("entries.2", "board.2")
        ]
        witness = await stack.enter_async_context(Client(running[0].socket_url, "entries.1"))
        for client in (*clients.values(), *outsiders, witness):
            await client.until_snapshot()
        if layer == "valkey, killed":
            valkey.kill()

        await asyncio.to_thread(strike, project, "close")
        for client in outsiders:
            await until_refused(client)

        for means in ("django", "sql"):
            await asyncio.to_thread(strike, project, means)
            began = time.monotonic()
            for (name, server_name), client in clients.items():
                if name.endswith(means):
                    await until_refused(client)
                    print(f"{layer}: {name} at {server_name} within {time.monotonic() - began:.1f} s")

        with contextlib.closing(project.connect()) as database:
            database.execute("UPDATE boards_entry SET value = 'after the right' WHERE board_id = 3")
            database.execute("UPDATE boards_entry SET value = 'for everyone' WHERE board_id = 1")
        await witness.until(lambda: "for everyone" in received(witness))
        for (name, server_name), client in clients.items():
            assert "after the right" not in received(client), f"{name} at {server_name}"
            assert client.connections == 1
        for client in outsiders:
            assert "written with the closing" not in received(client)
    for server in running:
        assert "Traceback" not in server.log.read_text()


def follower(server: Server, session: str, topic: str) -> Client:
    return Client(server.socket_url, topic, headers={"Origin": server.url, "Cookie": f"sessionid={session}"})


async def test_opening_a_page_keeps_a_session_signed_with_an_old_key(project: Project) -> None:
    """With the old key in ``SECRET_KEY_FALLBACKS`` the socket accepts the session, and does not change it."""
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


async def test_without_the_old_key_a_page_is_anonymous_and_the_session_stays(project: Project) -> None:
    """Reading a session does not end it: with the old key it is valid again."""
    project.environment["SECRET_KEY"] = "the old key"
    with servers.running(project) as server:
        editor = await asyncio.to_thread(Editor, server.url)
    project.environment["SECRET_KEY"] = "the new key"
    server.start()
    async with follower(server, editor.session, "staffboards") as client:
        await until_refused(client)
    server.stop()
    project.environment["SECRET_KEY"] = "the old key"
    server.start()
    try:
        assert await asyncio.to_thread(editor.is_signed_in)
    finally:
        server.stop()
