"""Remedies for errors of the database; tests/contract/test_least_rights.py has errors that PostgreSQL raises."""

import sqlite3

import psycopg
import pytest
from django.db import Error, IntegrityError, OperationalError, ProgrammingError

from realtime.databases.remedies import remedy


def caused(error: Error, cause: Exception) -> Error:
    """Return an error of Django's with its cause, as Django raises it."""
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("no such table: realtime_sequencer", "manage.py migrate"),
        ("no such column: fingerprint", "manage.py migrate"),
        ("attempt to write a readonly database", "write the file and its folder"),
        ("unable to open database file", "create the folder"),
        ("database or disk is full", "free space"),
        ("database disk image is malformed", "restore a backup"),
        ("database is locked", "end the program"),
        ("something else", ""),
    ],
)
def test_sqlites_errors_are_known_by_their_words(words, advice):
    """It has few codes, and its driver passes only the words in all versions."""
    found = remedy(caused(OperationalError(words), sqlite3.OperationalError(words)))

    assert (advice in found) if advice else found == ""


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (psycopg.errors.UndefinedTable("relation does not exist"), "manage.py migrate"),
        (psycopg.errors.UndefinedColumn("column does not exist"), "manage.py migrate"),
        (psycopg.errors.ReadOnlySqlTransaction("cannot execute UPDATE"), "the primary"),
        (psycopg.errors.DiskFull("No space left on device"), "free space"),
        (psycopg.errors.TooManyConnections("sorry"), "max_connections"),
        (
            psycopg.errors.InsufficientPrivilege("permission denied for table boards_entry"),
            "GRANT SELECT ON TABLE boards_",
        ),
        (
            psycopg.errors.InsufficientPrivilege("permission denied for table realtime_ticket"),
            "GRANT ALL ON TABLE realtime_",
        ),
        (
            psycopg.errors.InsufficientPrivilege("permission denied for sequence realtime_ticket_id_seq"),
            "GRANT USAGE, SELECT ON SEQUENCE realtime_ticket_id_seq",
        ),
        (psycopg.errors.InsufficientPrivilege("must be owner of table boards_entry"), "as the owner"),
        (
            psycopg.OperationalError(
                'connection failed: FATAL:  password authentication failed for user "x"'
            ),
            "password",
        ),
        (
            psycopg.OperationalError('connection failed: FATAL:  database "x" does not exist'),
            "create the database",
        ),
        (
            psycopg.OperationalError("connection failed: FATAL:  sorry, too many clients already"),
            "max_connections",
        ),
        (
            psycopg.OperationalError(
                "connection failed: FATAL:  could not write init file: No space left on device"
            ),
            "free space",
        ),
        (psycopg.OperationalError("connection refused"), "start the database"),
        (
            psycopg.errors.AdminShutdown("terminating connection due to administrator command"),
            "start the database",
        ),
        (psycopg.errors.CannotConnectNow("the database system is shutting down"), "start the database"),
        (psycopg.InterfaceError("the connection is closed"), "start the database"),
        (psycopg.InterfaceError("cannot adapt type 'X'"), ""),
        (psycopg.errors.UniqueViolation("duplicate key"), ""),
    ],
)
def test_postgresqls_errors_are_known_by_their_state(error, advice):
    """Errors of a connection that was not opened have no state, but a text of the server."""
    found = remedy(caused(ProgrammingError(str(error)), error))

    assert (advice in found) if advice else found == ""


@pytest.mark.parametrize(
    "error", [ValueError("no"), IntegrityError("no cause"), ConnectionError("Redis is away")]
)
def test_other_errors_have_no_advice(error):
    """They are faults of the code, or of something else than the database."""
    assert remedy(error) == ""


def test_a_pool_without_a_connection_means_that_the_database_is_away():
    """The pool, which is not installed here, waits for one that cannot be opened."""
    error = type("PoolTimeout", (Exception,), {"__module__": "psycopg_pool"})("couldn't get a connection")

    assert "start the database" in remedy(caused(OperationalError(str(error)), error))
