"""Snapshots on PostgreSQL as the statements that are sent; tests/contract runs them in a server."""

import contextlib
from typing import Any

import pytest
from django.db.backends.postgresql.base import DatabaseWrapper

from realtime.databases.outbox import OutboxCursor, Probe
from realtime.databases.postgresql.database import PostgreSQL


class Statements:
    """A cursor that records what it is given, and returns what a test sets."""

    def __init__(self) -> None:
        self.executed: list[str] = []
        self.rows: list[tuple[Any, ...]] = []

    def __enter__(self) -> "Statements":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def execute(self, statement: str, parameters: Any = None) -> None:
        self.executed.append(statement)

    def fetchone(self) -> tuple[Any, ...]:
        return self.rows.pop(0)

    def fetchall(self) -> list[tuple[Any, ...]]:
        rows, self.rows = self.rows, []
        return rows


@pytest.fixture
def statements(monkeypatch) -> Statements:
    statements = Statements()
    monkeypatch.setattr(DatabaseWrapper, "cursor", lambda self: statements)
    return statements


@pytest.fixture
def database(statements) -> PostgreSQL:
    """A database whose connection is never opened."""
    return PostgreSQL(DatabaseWrapper({}))


def test_all_statements_of_a_read_transaction_read_one_snapshot(database, statements):
    """It ends with a rollback, an error in it included."""
    with contextlib.suppress(ZeroDivisionError), database.read_transaction():
        statements.execute("SELECT 1 / 0")
        raise ZeroDivisionError

    assert statements.executed == [
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
        "SET LOCAL idle_in_transaction_session_timeout = '60s'",
        "SELECT 1 / 0",
        "ROLLBACK",
    ]


@pytest.mark.parametrize(
    "version, whole", [(16_00_09, ""), (17_00_00, "; SET LOCAL transaction_timeout = '7000ms'")]
)
def test_a_transaction_is_limited_in_idleness_in_waiting_and_as_a_whole(database, statements, version, whole):
    """As a whole only where the server can."""
    vars(database.connection)["pg_version"] = version

    database.limit_holding(5, 3, 7)

    assert statements.executed == [
        f"SET LOCAL idle_in_transaction_session_timeout = '5000ms'; SET LOCAL lock_timeout = '3000ms'{whole}"
    ]


@pytest.mark.parametrize("fails", [False, True])
def test_a_failing_query_is_undone_to_a_savepoint(database, statements, fails):
    """PostgreSQL would refuse every further statement of the transaction."""
    with contextlib.suppress(ZeroDivisionError), database.failing_alone():
        if fails:
            raise ZeroDivisionError

    undone = ["ROLLBACK TO SAVEPOINT realtime"] if fails else []
    assert statements.executed == ["SAVEPOINT realtime", *undone, "RELEASE SAVEPOINT realtime"]


def test_a_snapshot_is_the_next_transaction_and_those_in_progress(database, monkeypatch):
    """Inside a caller's transaction it has no epoch, because it is not one snapshot."""
    monkeypatch.setattr(database, "_fetch_row", lambda statement: (100, [97, 93], "e"))

    assert database.snapshot() == (OutboxCursor(100, (93, 97)), "e")
    assert database.snapshot_in_transaction() == (OutboxCursor(100, (93, 97)), "")


def test_a_probe_says_where_outbox_and_log_stand(database, monkeypatch):
    monkeypatch.setattr(database, "_fetch_row", lambda statement: (98, "e", 95, 90, 1))

    assert database.probe() == Probe(98, "e", 95, 90, True)


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_table_whose_file_was_replaced_is_not_as_of_the_snapshot(database, statements, is_replaced):
    """TRUNCATE and some migrations replace the file of a table, for older snapshots too."""
    statements.rows = [("boards_board", "17.1", False), ("boards_entry", "18.2", is_replaced)]

    found = database.files_of_snapshot(["boards_board", "boards_entry"])

    assert found == (None if is_replaced else {"boards_board": "17.1", "boards_entry": "18.2"})


def test_logged_tables_of_the_engine_are_made_unlogged(database, statements):
    """Tables that are unlogged already are not rewritten again."""
    statements.rows = [("realtime_logentry",), ("realtime_ticket",)]

    database.prepare_tables()

    assert statements.executed[1:] == [
        "ALTER TABLE realtime_logentry SET UNLOGGED",
        "ALTER TABLE realtime_ticket SET UNLOGGED",
    ]
