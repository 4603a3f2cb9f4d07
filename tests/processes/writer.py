"""A writer in its own process: ``python -m tests.processes.writer (orm|bulk|sql) SEED WRITES DATABASE``.

DATABASE is the file of SQLite or the URL of PostgreSQL. Each kind of writer chooses its writes at random; some of them
are rolled back.
"""

import random
import sqlite3
import sys
import time
from collections.abc import Callable
from functools import partial

import django
import psycopg
from django.db import DatabaseError, transaction


class RolledBack(Exception):
    """Rolls back a transaction, which must then leave no trace."""


def orm(chance: random.Random) -> None:
    from realtime.boards.models import Board, Entry

    boards = list(Board.objects.order_by("pk"))
    entries = Entry.objects.order_by("?")
    match chance.randrange(6):
        case 0:
            Entry.objects.create(
                board=chance.choice(boards), label=f"orm {chance.random()}", position=chance.randrange(50)
            )
        case 1 if entry := entries.first():
            entry.value = str(chance.random())
            entry.save()
        case 2 if entry := entries.first():
            entry.board = chance.choice(boards)
            entry.save()
        case 3 if entry := entries.first():
            entry.is_visible = not entry.is_visible
            entry.save()
        case 4 if Entry.objects.count() > 15:
            entries.first().delete()
        case _:
            try:
                with transaction.atomic():
                    Entry.objects.all().update(value="must never be seen")
                    raise RolledBack
            except RolledBack:
                pass


def bulk(chance: random.Random) -> None:
    from realtime.boards.models import Board, Entry

    boards = list(Board.objects.order_by("pk"))
    some = list(Entry.objects.order_by("?")[: chance.randrange(1, 6)])
    match chance.randrange(5):
        case 0:
            board = chance.choice(boards)
            Entry.objects.bulk_create(Entry(board=board, label=f"bulk {number}") for number in range(3))
        case 1:
            for entry in some:
                entry.position = chance.randrange(50)
                entry.note = "moved"
            Entry.objects.bulk_update(some, ["position", "note"])
        case 2:
            Entry.objects.filter(pk__in=[entry.pk for entry in some]).update(
                status=chance.choice(["ok", "warning"])
            )
        case 3 if Entry.objects.count() > 20:
            Entry.objects.filter(pk__in=[entry.pk for entry in some]).delete()
        case _:
            with transaction.atomic():
                for entry in some:
                    Entry.objects.filter(pk=entry.pk).update(board=chance.choice(boards), value="moving")
                    Entry.objects.filter(pk=entry.pk).update(value="moved")


def sqlite(chance: random.Random, database: sqlite3.Connection) -> None:
    boards = [board for (board,) in database.execute("SELECT id FROM boards_board")]
    entries = [entry for (entry,) in database.execute("SELECT id FROM boards_entry")]
    entry = chance.choice(entries)
    database.execute("BEGIN IMMEDIATE")
    match chance.randrange(5):
        case 0:
            database.execute(
                "INSERT INTO boards_entry (board_id, label) VALUES (?, 'sql')", [chance.choice(boards)]
            )
        case 1:
            database.execute("UPDATE boards_entry SET value = ? WHERE id = ?", [str(chance.random()), entry])
        case 2:
            database.execute(
                "INSERT OR REPLACE INTO boards_entry (id, board_id, label) VALUES (?, ?, 'replaced')",
                [entry, chance.choice(boards)],
            )
        case 3 if len(entries) > 15:
            database.execute("DELETE FROM boards_entry WHERE id = ?", [entry])
        case _:
            database.execute(
                "UPDATE boards_entry SET is_visible = 1 - is_visible WHERE id % 7 = ?", [chance.randrange(7)]
            )
    database.execute("ROLLBACK" if chance.random() < 0.2 else "COMMIT")


def postgresql(chance: random.Random, database: psycopg.Connection) -> None:
    """Write as ``sqlite`` does, in transactions with savepoints, some of which stay open while others commit."""
    boards = [board for (board,) in database.execute("SELECT id FROM boards_board")]
    entries = [entry for (entry,) in database.execute("SELECT id FROM boards_entry")]
    entry = chance.choice(entries)
    database.execute("BEGIN")
    for _ in range(chance.choice((1, 1, 3))):
        database.execute("SAVEPOINT one")
        match chance.randrange(6):
            case 0:
                database.execute(
                    "INSERT INTO boards_entry (board_id, label) VALUES (%s, 'sql')", [chance.choice(boards)]
                )
            case 1:
                database.execute(
                    "UPDATE boards_entry SET value = %s WHERE id = %s", [str(chance.random()), entry]
                )
            case 2:
                database.execute(
                    "INSERT INTO boards_entry (id, board_id, label) VALUES (%s, %s, 'x') ON CONFLICT (id) "
                    "DO UPDATE SET board_id = excluded.board_id, label = 'upserted'",
                    [entry, chance.choice(boards)],
                )
            case 3 if len(entries) > 15:
                database.execute("DELETE FROM boards_entry WHERE id = %s", [entry])
            case 4:
                with database.cursor().copy("COPY boards_entry (board_id, label) FROM STDIN") as copy:
                    copy.write_row((chance.choice(boards), "copied"))
            case _:
                database.execute(
                    "UPDATE boards_entry SET is_visible = NOT is_visible WHERE id %% 7 = %s",
                    [chance.randrange(7)],
                )
        if chance.random() < 0.2:
            database.execute("ROLLBACK TO one")
        time.sleep(chance.choice((0, 0, 0.02, 0.2)))
    database.execute("ROLLBACK" if chance.random() < 0.2 else "COMMIT")


def connect(address: str) -> psycopg.Connection | sqlite3.Connection:
    """Connect to PostgreSQL by its URL, or to SQLite by its file."""
    if "://" in address:
        return psycopg.connect(address, autocommit=True, connect_timeout=5)
    return sqlite3.connect(address, timeout=20, isolation_level=None)


def plain_sql(chance: random.Random, database: psycopg.Connection | sqlite3.Connection) -> None:
    """Write with a driver's connection, without Django."""
    if isinstance(database, sqlite3.Connection):
        sqlite(chance, database)
    else:
        postgresql(chance, database)


def main(kind: str, seed: str, count: str, address: str) -> None:
    chance = random.Random(f"{kind} {seed}")
    django.setup()
    database = connect(address)
    writes: dict[str, Callable[[random.Random], None]] = {
        "orm": orm,
        "bulk": bulk,
        "sql": partial(plain_sql, database=database),
    }
    for _ in range(int(count)):
        try:
            writes[kind](chance)
        except (DatabaseError, psycopg.Error) as error:
            # On PostgreSQL two writers can deadlock: one of them is rolled back.
            if isinstance(database, sqlite3.Connection):
                raise
            database.execute("ROLLBACK")
            print(f"{kind}: {type(error).__name__}: {error}".splitlines()[0])
        time.sleep(chance.random() * 0.02)


if __name__ == "__main__":
    main(*sys.argv[1:])
