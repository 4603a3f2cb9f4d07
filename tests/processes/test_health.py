"""Health and metrics of a process while the database, the layer or the disk is unavailable, and afterwards."""

import asyncio
import contextlib
import json
import signal
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support import servers
from tests.support.client import Client
from tests.support.databases import PostgreSQL
from tests.support.servers import Server, free_port

PATIENCE_SECONDS = 60.0
TOKEN = "a token"


@pytest.fixture
def server(postgresql: PostgreSQL, tmp_path: Path) -> Iterator[Server]:
    """A server on PostgreSQL, whose Redis is away."""
    with contextlib.closing(postgresql.connect()) as admin:
        admin.execute("CREATE DATABASE healthy")
    project = servers.prepare(
        tmp_path / "project",
        DATABASE_URL=postgresql.url("healthy"),
        REDIS_URL=f"redis://127.0.0.1:{free_port()}/0",
        METRICS_TOKEN=TOKEN,
        UNREADY_SECONDS="3600",
    )
    server = Server(project, "daphne")
    server.start()
    yield server
    if server.process is not None and server.process.poll() is None:
        server.process.kill()
        server.process.wait()
    postgresql.drop("healthy")


async def ask(server: Server, path: str) -> tuple[int, str]:
    """Return the status and the text of an answer, as a program with the token gets it."""

    def fetch() -> tuple[int, str]:
        request = urllib.request.Request(
            f"{server.url}/realtime/{path}/", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    return await asyncio.to_thread(fetch)


async def until_ready(server: Server, says: Callable[[list[str]], bool]) -> list[str]:
    """Wait until the reasons why the process is not ready are as expected; return them."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            status, text = await ask(server, "ready")
            reasons = json.loads(text).get("reasons", [])
            assert status == (503 if reasons else 200), text
            if says(reasons):
                return reasons
            await asyncio.sleep(0.1)


async def metrics(server: Server) -> dict[str, float]:
    status, text = await ask(server, "metrics")
    assert status == 200
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_a_process_says_what_it_lacks_and_recovers_by_itself(
    server: Server, postgresql: PostgreSQL
) -> None:
    """Redis away is no reason to send no clients; the database away is; so is the end of the process."""
    await until_ready(server, lambda reasons: not reasons)
    async with Client(server.socket_url, "entries.1") as client:
        await client.until_snapshot()
        with contextlib.closing(postgresql.connect("healthy")) as database:
            database.execute("UPDATE boards_entry SET value = 'by the log' WHERE id = 1")
        await client.until_row("1", "by the log")
    while not (found := await metrics(server))["realtime_layer_errors_total"]:
        await asyncio.sleep(0.1)
    assert found["realtime_database_up"] == found["realtime_publisher_leads"] == 1

    assert (await ask(server, "topics/entries.1"))[
        0
    ] == 200  # by a thread that is idle until the end of the outage

    postgresql.stop("immediate")
    try:
        reasons = await until_ready(server, lambda reasons: any("database: " in one for one in reasons))
        found = await metrics(server)
        live, _ = await ask(server, "live")
    finally:
        postgresql.start()
    assert (live, found["realtime_database_up"]) == (200, 0), reasons
    assert "realtime_connections" in found
    assert "realtime_outbox_waiting" not in found
    await until_ready(server, lambda reasons: not reasons)
    assert [(await ask(server, "topics/entries.1"))[0] for _ in range(20)] == [200] * 20

    assert server.process is not None
    server.process.send_signal(signal.SIGTERM)
    reasons = await until_ready(server, bool)
    assert reasons == ["draining: this process is stopping"]
    assert (await ask(server, "live"))[0] == 200
