"""Viewers of a topic at two servers: counted across processes, with any channel layer, until a process dies."""

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection

from tests.processes.sockets import PATIENCE_SECONDS, opened, receive
from tests.support import servers
from tests.support.servers import Project, Server
from tests.support.valkey import Valkey

TOPIC = "entries.1"
SETTINGS = "tests.apps.sociable.settings"


@pytest.fixture(params=["valkey", "in memory"])
def cluster(
    request: pytest.FixtureRequest, prepared: Project, tmp_path: Path, shared_valkey: Valkey
) -> Iterator[list[Server]]:
    """Two servers of one project."""
    environment = {"REDIS_URL": shared_valkey.url} if request.param == "valkey" else {}
    project = servers.copy(
        prepared, tmp_path / "project", DJANGO_SETTINGS_MODULE=SETTINGS, HEARTBEAT_SECONDS="2", **environment
    )
    with servers.running(project, "daphne") as one, servers.running(project, "uvicorn") as other:
        yield [one, other]


async def follow(socket: ClientConnection) -> None:
    await socket.send(json.dumps({"type": "subscribe", "topic": TOPIC}))


async def until_viewers(socket: ClientConnection, number: int) -> None:
    async with asyncio.timeout(2 * PATIENCE_SECONDS):
        while (await receive(socket, "presence"))["viewers"] != number:
            pass


async def send(socket: ClientConnection, event: str, **fields: object) -> None:
    await socket.send(json.dumps({"type": "broadcast", "topic": TOPIC, "event": event, **fields}))


async def test_viewers_and_broadcasts_of_two_servers(cluster: list[Server], request) -> None:
    """Each server counts the viewers of both, also when the other is killed; broadcasts go as far as the layer does."""
    one, other = cluster
    origin, other_origin = {"Origin": one.url}, {"Origin": other.url}
    async with (
        opened(one.socket_url, additional_headers=origin) as here,
        opened(one.socket_url, additional_headers=origin) as beside,
        opened(other.socket_url, additional_headers=other_origin) as there,
    ):
        for socket in (here, beside, there):
            await follow(socket)
        for socket in (here, there):
            await until_viewers(socket, 3)

        await send(here, "typing", payload={"row": "1"}, name="forged")
        receivers = [beside, there] if "in memory" not in request.node.name else [beside]
        for socket in receivers:
            message = await receive(socket, "broadcast")
            assert message["payload"] == {"row": "1"}
            assert "name" not in message

        other.stop(signal.SIGKILL)
        # What thirty seconds do; the process that lives renews its notes within ten.
        one.project.connect().execute("UPDATE realtime_process SET seen_at = seen_at - 31")
        await until_viewers(here, 2)
        await beside.close()
        await until_viewers(here, 1)
