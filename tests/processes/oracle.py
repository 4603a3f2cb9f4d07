"""The rows of a topic at every position, computed by the database itself from its outbox."""

import json
import sqlite3
from typing import Any

import psycopg

from tests.support.replica import Replica

_COLUMNS = ("board_id", "is_visible", "position", "label", "value", "unit", "status", "note")


class Oracle:
    """Records each row's contents at each change, by a trigger on the outbox, and checks replicas against it.

    On SQLite position p is the snapshot with all outbox rows below p: a topic at p consists of the last record
    below p of each entry. This is independent of sequencer, log and hub.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database: sqlite3.Connection | psycopg.Connection = database
        contents = ", ".join(f"'{column}', {column}" for column in _COLUMNS)
        database.execute("CREATE TABLE audit (id INTEGER PRIMARY KEY, entry INTEGER, contents TEXT)")
        # Rows from before the first change count as recorded at 0.
        contents_of_all = f"SELECT id AS entry, json_object({contents}) AS contents FROM boards_entry"
        database.execute(f"CREATE TABLE start AS {contents_of_all}")
        database.execute(
            "CREATE TRIGGER audit AFTER INSERT ON realtime_outboxrow WHEN NEW.source = 'boards_entry' BEGIN "
            "INSERT INTO audit VALUES (NEW.id, json_extract(NEW.image, '$.id'), "
            f"(SELECT json_object({contents}) FROM boards_entry WHERE id = json_extract(NEW.image, '$.id'))); END"
        )

    def connect(self, database: sqlite3.Connection) -> None:
        """Use another connection from now on."""
        self._database = database

    def rows(self, board: int, position: int) -> dict[str, dict[str, Any]]:
        """Return the visible entries of a board as of a position, by key."""
        found = dict(self._database.execute("SELECT entry, contents FROM start").fetchall())
        changed = self._database.execute(
            "SELECT entry, contents FROM audit WHERE id < ? ORDER BY id", [position]
        ).fetchall()
        found.update(changed)
        entries = {str(entry): json.loads(contents) for entry, contents in found.items() if contents}
        return {
            key: entry for key, entry in entries.items() if entry["board_id"] == board and entry["is_visible"]
        }

    def records(self) -> list[tuple[int, int, int, dict[str, Any] | None]]:
        """Return ``(number, number, entry, contents)`` of each change; a position sees the numbers below it.

        Outbox rows that name no entry are left out: the tests write such rows, too.
        """
        rows = self._database.execute(
            "SELECT -1, entry, contents FROM start "
            "UNION ALL SELECT id, entry, contents FROM audit WHERE entry IS NOT NULL"
        )
        return [(number, number, entry, json.loads(contents or "null")) for number, entry, contents in rows]

    def check(self, replica: Replica) -> None:
        """Assert that a replica's rows are its topic exactly as of its position."""
        assert replica.position is not None
        board = int(replica.topic.partition(".")[2])
        expected = self.rows(board, replica.position.offset)
        got = {key: json.loads(row) for key, (_, row) in replica.rows.items()}
        assert got.keys() == expected.keys(), f"at {replica.position}"
        for key, row in got.items():
            for column in _COLUMNS[2:]:
                assert row[column] == expected[key][column], f"{key}.{column} at {replica.position}"
        in_order = sorted(expected, key=lambda key: (expected[key]["position"], int(key)))
        assert replica.keys == in_order, f"order at {replica.position}"


class PostgreSQLOracle(Oracle):
    """The same on PostgreSQL, where each record contains the number of its transaction.

    A position is a snapshot there. A trigger on the sequencer's row records which transactions each sequenced snapshot
    sees. Because of row locks the records of one entry are in commit order. ``checked`` counts the comparisons.
    """

    def __init__(self, database: psycopg.Connection) -> None:
        self._database = database
        self.checked = 0
        contents = ", ".join(f"'{column}', {column}" for column in _COLUMNS)
        database.execute(
            "CREATE TABLE audit (id bigserial PRIMARY KEY, xid bigint, entry bigint, contents jsonb);"
            "CREATE TABLE seen (position bigint PRIMARY KEY, next bigint, open jsonb);"
            f"CREATE TABLE start AS SELECT id AS entry, jsonb_build_object({contents}) AS contents "
            "FROM boards_entry;"
            "CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "INSERT INTO public.audit (xid, entry, contents) "
            "SELECT pg_current_xact_id()::text::bigint, (NEW.image->>'id')::bigint, "
            f"(SELECT jsonb_build_object({contents}) FROM public.boards_entry "
            "WHERE id = (NEW.image->>'id')::bigint); RETURN NULL; END $$;"
            "CREATE TRIGGER audit AFTER INSERT ON realtime_outboxrow FOR EACH ROW "
            "WHEN (NEW.source = 'boards_entry') EXECUTE FUNCTION audit();"
            "CREATE FUNCTION seen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "INSERT INTO public.seen VALUES (NEW.next - jsonb_array_length(NEW.open), NEW.next, NEW.open) "
            "ON CONFLICT DO NOTHING; RETURN NULL; END $$;"
            "CREATE TRIGGER seen AFTER UPDATE ON realtime_sequencer FOR EACH ROW EXECUTE FUNCTION seen();"
        )

    def rows(self, board: int, position: int) -> dict[str, dict[str, Any]]:
        found = dict(self._database.execute("SELECT entry, contents FROM start").fetchall())
        found.update(
            self._database.execute(
                "SELECT entry, contents FROM audit, seen WHERE position = %s "
                "AND xid < next AND NOT open @> to_jsonb(xid) ORDER BY id",
                [position],
            ).fetchall()
        )
        entries = {str(entry): contents for entry, contents in found.items() if contents}
        return {
            key: entry for key, entry in entries.items() if entry["board_id"] == board and entry["is_visible"]
        }

    def check(self, replica: Replica) -> None:
        """Assert that a replica's rows are its topic as of its position, if that position was sequenced."""
        assert replica.position is not None
        was_sequenced = self._database.execute(
            "SELECT 1 FROM seen WHERE position = %s", [replica.position.offset]
        ).fetchone()
        if was_sequenced:
            self.checked += 1
            super().check(replica)
