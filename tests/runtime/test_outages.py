"""Outages: which errors pass, and which are faults of the code."""

import sqlite3

import psycopg
import pytest
from django.db import DatabaseError, DataError, InterfaceError, InternalError, OperationalError, connection
from django.db.utils import ProgrammingError

from realtime.engine.errors import Forbidden, Unreadable
from realtime.runtime.outages import is_outage
from realtime.runtime.threads import Stopping
from tests.databases.test_remedies import caused


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError("reading topic entries.1 took more than 30 s"),
        Stopping("the process stops"),
        Unreadable("entries.1"),
        caused(OperationalError("x"), sqlite3.OperationalError("unable to open database file")),
        caused(OperationalError("x"), sqlite3.OperationalError("database is locked")),
        caused(OperationalError("x"), sqlite3.OperationalError("interrupted")),
        caused(DatabaseError("x"), sqlite3.DatabaseError("file is not a database")),
        caused(OperationalError("x"), psycopg.OperationalError("connection refused")),
        caused(OperationalError("x"), psycopg.errors.QueryCanceled("statement timeout")),
        caused(OperationalError("x"), psycopg.errors.DeadlockDetected("deadlock detected")),
        caused(OperationalError("x"), psycopg.errors.LockNotAvailable("lock timeout")),
        caused(OperationalError("x"), psycopg.errors.AdminShutdown("terminating connection")),
        caused(InternalError("x"), psycopg.errors.ReadOnlySqlTransaction("cannot execute UPDATE")),
        caused(InterfaceError("x"), psycopg.InterfaceError("the connection is closed")),
    ],
    ids=repr,
)
def test_an_error_that_passes_is_an_outage(error):
    assert is_outage(error)


@pytest.mark.parametrize(
    "error",
    [
        None,
        ValueError("x"),
        Forbidden("entries.1"),
        caused(OperationalError("x"), sqlite3.OperationalError("no such table: x")),
        caused(ProgrammingError("x"), psycopg.errors.UndefinedColumn("column does not exist")),
        caused(ProgrammingError("x"), psycopg.errors.SyntaxError("syntax error")),
        caused(DataError("x"), psycopg.errors.NumericValueOutOfRange("out of range")),
        caused(InterfaceError("x"), sqlite3.InterfaceError("bad parameter")),
    ],
    ids=repr,
)
def test_a_fault_of_the_code_is_none(error):
    """It would be answered with an invitation to try again for ever."""
    assert not is_outage(error)


@pytest.mark.parametrize("statement", ["SELEKT 1", "SELECT nothing(1)", "SELECT * FROM nowhere"])
def test_a_wrong_statement_is_none(transactional_db, statement):
    """SQLite reports it in the same class as a file that it cannot open."""
    with pytest.raises(OperationalError) as raised, connection.cursor() as cursor:
        cursor.execute(statement)

    assert not is_outage(raised.value)
