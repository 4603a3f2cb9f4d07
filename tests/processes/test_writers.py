"""Every kind of writer: committed changes arrive, rolled back ones do not."""

import json
from pathlib import Path

import pytest

from tests.support.client import Client
from tests.support.servers import Server

SHELL = "from realtime.boards.models import *; from django.db import transaction; "


def label(client: Client, key: str) -> str | None:
    row = client.replica.rows.get(key)
    return row and json.loads(row[1])["label"]


@pytest.mark.parametrize(
    "statement",
    [
        "entry = Entry.objects.get(pk=1); entry.label = 'changed'; entry.save()",
        "Entry.objects.filter(pk=1).update(label='changed')",
        "e = Entry.objects.get(pk=1); e.label = 'changed'; Entry.objects.bulk_update([e], ['label'])",
        "Entry.objects.bulk_create([Entry(pk=1, board_id=1, label='changed')], update_conflicts=True, "
        "unique_fields=['id'], update_fields=['label'])",
    ],
    ids=["save", "update", "bulk_update", "upsert"],
)
async def test_a_change_by_the_orm_in_another_process_arrives(daphne: Server, statement: str) -> None:
    """Each kind of write of the ORM, from a management command."""
    async with Client(daphne.socket_url, "entries.1") as client:
        await client.until(lambda: "1" in client.replica.rows)

        daphne.project.manage("shell", "-c", SHELL + statement)

        await client.until(lambda: label(client, "1") == "changed")


async def test_plain_sql_arrives_and_a_rollback_does_not(server: Server) -> None:
    """With sqlite3: insert, update, move and delete arrive; a rolled back savepoint and transaction do not."""
    database = server.project.connect()
    async with (
        Client(server.socket_url, "entries.1") as client,
        Client(server.socket_url, "entries.2") as other,
    ):
        await client.until_snapshot()
        await other.until_snapshot()

        database.execute("BEGIN IMMEDIATE")
        database.execute("INSERT INTO boards_entry (id, board_id, label) VALUES (501, 1, 'one')")
        database.execute("SAVEPOINT inner")
        database.execute("INSERT INTO boards_entry (id, board_id, label) VALUES (502, 1, 'ghost')")
        database.execute("ROLLBACK TO inner")
        database.execute("COMMIT")
        await client.until(lambda: label(client, "501") == "one")

        database.execute("BEGIN IMMEDIATE")
        database.execute("UPDATE boards_entry SET label = 'ghost'")
        database.execute("ROLLBACK")
        database.execute("UPDATE boards_entry SET board_id = 2 WHERE id = 501")
        await client.until(lambda: "501" not in client.replica.rows)
        await other.until(lambda: label(other, "501") == "one")

        database.execute("DELETE FROM boards_entry WHERE id = 501")
        await other.until(lambda: "501" not in other.replica.rows)
        assert "ghost" not in str(client.seen) + str(other.seen)


async def test_loaddata_and_deleted_querysets_arrive(daphne: Server, tmp_path: Path) -> None:
    """Fixtures are loaded row by row, querysets deleted in bulk."""
    fixture = tmp_path / "entries.json"
    fixture.write_text(
        json.dumps(
            [
                {"model": "boards.entry", "pk": pk, "fields": {"board": 1, "label": "loaded"}}
                for pk in (601, 602)
            ]
        )
    )
    async with Client(daphne.socket_url, "entries.1") as client:
        await client.until_snapshot()

        daphne.project.manage("loaddata", str(fixture))
        await client.until(lambda: label(client, "601") == label(client, "602") == "loaded")

        daphne.project.manage("shell", "-c", SHELL + "Entry.objects.filter(board_id=1).delete()")
        await client.until(lambda: not client.replica.rows)


async def test_a_flood_arrives_in_bounded_messages(daphne: Server) -> None:
    """Ten thousand rows are inserted in one statement: the page receives all, and every message has a bounded size."""
    database = daphne.project.connect()
    async with Client(daphne.socket_url, "entries.1") as client:
        await client.until_snapshot()

        database.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) "
            "INSERT INTO boards_entry (board_id, label, position) SELECT 1, 'flood ' || i, i FROM n"
        )

        await client.until(lambda: len(client.replica.rows) > 10_000, seconds=180)
        assert max(len(str(message)) for message in client.seen) < 2**20
    assert "Traceback" not in daphne.log.read_text()
