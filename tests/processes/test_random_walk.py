"""Three writers, five clients that come and go: each client is its topic as of its position, always."""

import asyncio
import contextlib
import json
import random
import subprocess
import sys

import pytest

from tests.processes.oracle import Oracle, PostgreSQLOracle
from tests.support.client import Client
from tests.support.servers import ROOT, prepare, running

WRITES = 170  # of each of three writers: 510 together


@pytest.mark.parametrize("seed", [1])
async def test_every_client_equals_the_source_at_its_position_and_in_the_end(server, seed):
    """500 mixed writes; after every message the rows are the topic as of the position, and in the end all."""
    database = server.project.connect()
    oracle = Oracle(database)
    chance = random.Random(seed)

    async with contextlib.AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(Client(server.socket_url, topic, check=oracle.check))
            for topic in ("entries.1", "entries.1", "entries.2", "entries.2", "entries.1")
        ]
        for client in clients:
            await client.until_snapshot()
        writers = [start_writer(server.project, kind, seed) for kind in ("orm", "bulk", "sql")]
        while any(writer.poll() is None for writer in writers):
            await asyncio.sleep(chance.random() * 0.3)
            await chance.choice(clients).drop()
        assert [writer.wait() for writer in writers] == [0, 0, 0]

        (end,) = database.execute(
            "SELECT seq + 1 FROM sqlite_sequence WHERE name = 'realtime_outboxrow'"
        ).fetchone()
        for client in clients:
            board = int(client.replica.topic[-1])
            await client.until(lambda c=client, b=board: set(c.replica.rows) == set(oracle.rows(b, end)))
            await client.until(lambda c=client: values(c.replica) == stored(database, c.replica.topic))
            assert not any("never be seen" in str(row) for row in client.replica.rows.values())
    assert sum(client.connections for client in clients) > len(clients), "nobody was dropped"
    assert sum(len(client.seen) for client in clients) > 50, "too little was compared to say anything"


@pytest.mark.parametrize("seed", [1])
async def test_every_client_equals_the_source_on_postgresql(postgresql, tmp_path, seed):
    """The same with writers whose transactions overlap: positions are snapshots, compared as such."""
    with contextlib.closing(postgresql.connect()) as admin:
        admin.execute("CREATE DATABASE walk")
    project = prepare(tmp_path, DATABASE_URL=postgresql.url("walk"), HEARTBEAT_SECONDS="2")
    database = postgresql.connect("walk")
    oracle = PostgreSQLOracle(database)  # before the server runs: its triggers lock what a sequencer locks
    chance = random.Random(seed)
    with running(project) as server:
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(database.close)
            clients = [
                await stack.enter_async_context(Client(server.socket_url, topic, check=oracle.check))
                for topic in ("entries.1", "entries.1", "entries.2", "entries.2", "entries.1")
            ]
            for client in clients:
                await client.until_snapshot()
            writers = [start_writer(project, kind, seed) for kind in ("orm", "bulk", "sql")]
            while any(writer.poll() is None for writer in writers):
                await asyncio.sleep(chance.random() * 0.3)
                await chance.choice(clients).drop()
            assert [writer.wait() for writer in writers] == [0, 0, 0]

            for client in clients:
                await client.until(lambda c=client: values(c.replica) == stored(database, c.replica.topic))
                assert not any("never be seen" in str(row) for row in client.replica.rows.values())
    assert sum(client.connections for client in clients) > len(clients), "nobody was dropped"
    assert oracle.checked > 50, "too few messages had a position that the oracle knows"
    assert "Traceback" not in server.log.read_text()


def start_writer(project, kind: str, seed: int) -> subprocess.Popen:
    command = [
        sys.executable,
        "-m",
        "tests.processes.writer",
        kind,
        str(seed),
        str(WRITES),
        project.environment.get("DATABASE_URL") or str(project.database),
    ]
    return subprocess.Popen(command, cwd=ROOT, env=project.environment)


def values(replica) -> dict[str, str]:
    return {key: json.loads(row)["value"] for key, (_, row) in replica.rows.items()}


def stored(database, topic: str) -> dict[str, str]:
    found = database.execute(
        f"SELECT id, value FROM boards_entry WHERE board_id = {int(topic.partition('.')[2])} AND is_visible"
    )
    return {str(key): value for key, value in found}
