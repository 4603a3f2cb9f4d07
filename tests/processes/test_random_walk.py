"""Three writers and five clients that are disconnected at random: each client is its topic as of its position."""

import asyncio
import contextlib
import json
import random
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import psycopg
import pytest

from tests.processes.oracle import Oracle, PostgreSQLOracle
from tests.support.client import Client
from tests.support.databases import PostgreSQL
from tests.support.replica import Replica
from tests.support.servers import ROOT, Project, Server, prepare, running

WRITES = 170
"""By each of three writers: 510 together."""
ROUNDS = 5
"""How often the writers may run until enough was compared: a slow server joins more writes in one message."""
ENOUGH = 50
TOPICS = ("entries.1", "entries.1", "entries.2", "entries.2", "entries.1")


@pytest.mark.parametrize("seed", [1])
async def test_every_client_equals_the_source_at_its_position_and_in_the_end(
    server: Server, seed: int
) -> None:
    """After every message a client's rows are the topic as of its position, and in the end as ``SELECT`` has them."""
    database = server.project.connect()
    oracle = Oracle(database)

    async with followers(server, oracle) as clients:
        await write(server.project, clients, seed, lambda: sum(len(client.seen) for client in clients))

        (end,) = database.execute(
            "SELECT seq + 1 FROM sqlite_sequence WHERE name = 'realtime_outboxrow'"
        ).fetchone()
        for client in clients:
            await client.until(partial(has_keys, client, oracle, end))
            await converge(client, database)


@pytest.mark.parametrize("seed", [1])
async def test_every_client_equals_the_source_on_postgresql(
    postgresql: PostgreSQL, tmp_path: Path, seed: int
) -> None:
    """The same with writers whose transactions overlap: positions are snapshots and are compared as such."""
    with contextlib.closing(postgresql.connect()) as admin:
        admin.execute("CREATE DATABASE walk")
    project = prepare(tmp_path, DATABASE_URL=postgresql.url("walk"), HEARTBEAT_SECONDS="2")
    with contextlib.closing(postgresql.connect("walk")) as database:
        # Before the server runs: creating the triggers waits for the locks of a sequencer.
        oracle = PostgreSQLOracle(database)
        with running(project) as server:
            async with followers(server, oracle) as clients:
                await write(project, clients, seed, lambda: oracle.checked)

                for client in clients:
                    await converge(client, database)
    assert "Traceback" not in server.log.read_text()


@contextlib.asynccontextmanager
async def followers(server: Server, oracle: Oracle) -> AsyncIterator[list[Client]]:
    """Yield clients that the oracle checks after every message."""
    async with contextlib.AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(Client(server.socket_url, topic, check=oracle.check))
            for topic in TOPICS
        ]
        for client in clients:
            await client.until_snapshot()
        yield clients


async def write(project: Project, clients: list[Client], seed: int, compared: Callable[[], int]) -> None:
    """Run the writers, and disconnect clients at random meanwhile, until enough messages were compared."""
    chance = random.Random(seed)
    for number in range(ROUNDS):
        writers = [start_writer(project, kind, seed + number) for kind in ("orm", "bulk", "sql")]
        while any(writer.poll() is None for writer in writers):
            await asyncio.sleep(chance.random() * 0.3)
            await chance.choice(clients).drop()
        assert [writer.wait() for writer in writers] == [0, 0, 0]
        if compared() > ENOUGH:
            break
    assert compared() > ENOUGH, "too few messages were compared"
    assert sum(client.connections for client in clients) > len(clients), "no client was disconnected"


def has_keys(client: Client, oracle: Oracle, position: int) -> bool:
    board = int(client.replica.topic.partition(".")[2])
    return client.replica.rows.keys() == oracle.rows(board, position).keys()


async def converge(client: Client, database: sqlite3.Connection | psycopg.Connection) -> None:
    """Wait until a client has the values that the database has."""
    await client.until(lambda: values(client.replica) == stored(database, client.replica.topic))
    assert not any("never be seen" in str(row) for row in client.replica.rows.values())


def start_writer(project: Project, kind: str, seed: int) -> subprocess.Popen[bytes]:
    address = project.environment.get("DATABASE_URL") or str(project.database)
    command = [sys.executable, "-m", "tests.processes.writer", kind, str(seed), str(WRITES), address]
    return subprocess.Popen(command, cwd=ROOT, env=project.environment)


def values(replica: Replica) -> dict[str, str]:
    return {key: json.loads(row)["value"] for key, (_, row) in replica.rows.items()}


def stored(database: sqlite3.Connection | psycopg.Connection, topic: str) -> dict[str, str]:
    found = database.execute(
        f"SELECT id, value FROM boards_entry WHERE board_id = {int(topic.partition('.')[2])} AND is_visible"
    )
    return {str(key): value for key, value in found}
