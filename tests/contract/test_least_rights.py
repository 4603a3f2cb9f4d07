"""A process that serves with few rights publishes what it can, and says what is missing and what to run."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import DatabaseError, connections

from realtime.databases.remedies import remedy
from realtime.publishing import capture
from realtime.publishing.housekeeping import Housekeeping

GRANTS = (
    "GRANT USAGE ON SCHEMA public TO waiter",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO waiter",
    "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO waiter",
)


@pytest.fixture
def as_waiter(on_postgresql) -> Iterator[Callable[..., None]]:
    """A function that has the engine connect as a role which owns nothing, after some statements of the owner."""

    def connect(*statements: str) -> None:
        on_postgresql.sql(*statements)
        connections["default"].close()
        connections["default"].settings_dict["USER"] = "waiter"

    owner = connections["default"].settings_dict["USER"]
    on_postgresql.sql("DROP ROLE IF EXISTS waiter", "CREATE ROLE waiter LOGIN", *GRANTS)
    yield connect
    connections["default"].close()
    connections["default"].settings_dict["USER"] = owner
    on_postgresql.sql("DROP OWNED BY waiter CASCADE", "DROP ROLE waiter")


DROPPED = """
DO $$ DECLARE found record; BEGIN
  FOR found IN SELECT tgname FROM pg_trigger
    WHERE tgrelid = 'boards_entry'::regclass AND tgname LIKE 'realtime\\_%\\_insert'
  LOOP EXECUTE format('DROP TRIGGER %I ON boards_entry', found.tgname); END LOOP;
END $$"""
OLDER = """
DO $$ DECLARE found record; BEGIN
  FOR found IN SELECT oid, tgname FROM pg_trigger WHERE tgrelid = 'boards_entry'::regclass AND NOT tgisinternal
  LOOP EXECUTE format('ALTER FUNCTION %I() RENAME TO %I', found.tgname, 'realtime_000000000000_' || found.oid);
  END LOOP;
END $$"""
MIGRATE = "run `manage.py migrate`"
SHORT = {
    "a trigger is missing": ([DROPPED], MIGRATE),
    "triggers of another version": ([OLDER], MIGRATE),
    "may create triggers only": (
        [DROPPED, "GRANT TRIGGER ON boards_entry TO waiter"],
        "GRANT CREATE ON SCHEMA",
    ),
    "may create functions only": (
        [DROPPED, "GRANT CREATE ON SCHEMA public TO waiter"],
        'GRANT TRIGGER ON "boards_entry" TO "waiter"',
    ),
    "may not read it, a trigger is missing": (
        [DROPPED, "REVOKE SELECT ON boards_entry FROM waiter"],
        'GRANT TRIGGER ON "boards_entry" TO "waiter"',
    ),
    "may not claim": (
        [DROPPED, "REVOKE ALL ON realtime_triggerclaim FROM waiter"],
        'GRANT TRIGGER ON "boards_entry" TO "waiter"',
    ),
    "table is missing": (["ALTER TABLE boards_entry RENAME TO aside"], MIGRATE),
    "column is missing": (["ALTER TABLE boards_entry RENAME board_id TO aside"], MIGRATE),
}
"""Statements of the owner that take something away, and the statements that the log says to run."""


def run_chores() -> Housekeeping:
    """Run each chore of a leading process some times, as its thread does."""
    chores = Housekeeping("a process")
    chores.stop()  # do not wait for what is due later
    for _ in range(3):
        with contextlib.suppress(DatabaseError):
            chores.turn()
        chores._look_due = chores._lease_due = chores._verify_due = chores._claim_due = chores._prune_due = (
            0.0
        )
    return chores


def published(database) -> set[str]:
    """Sequence; return the topics that have entries now."""
    batch = database.sequence()
    return {entry.topic for entry in batch.entries} if batch is not None else set()


@pytest.mark.parametrize("kind", SHORT)
def test_publishing_goes_on_and_the_log_says_what_to_run(as_waiter, on_postgresql, caplog, monkeypatch, kind):
    """The table is named, once; the other tables are live, the process has the lease, and prunes."""
    monkeypatch.setattr(logging.getLogger("realtime"), "propagate", True)
    monkeypatch.setattr(capture, "_logged", {})
    statements, words = SHORT[kind]
    as_waiter(*statements)

    chores = run_chores()
    on_postgresql.sql("UPDATE boards_board SET title = title || '!' WHERE id = 1")

    assert published(on_postgresql) >= {"boards", "board.1"}
    assert chores.is_leader
    named = [line for line in caplog.messages if line.startswith("changes of boards_entry are not captured")]
    assert len(named) == 1
    assert words in named[0]
    assert not [line for line in caplog.messages if line.startswith("changes of boards_board")]


def test_a_table_that_may_not_be_read_stops_only_its_own_feeds(as_waiter, on_postgresql):
    """Its triggers are there, so that its changes are noted until the right is granted."""
    as_waiter("REVOKE SELECT ON boards_entry FROM waiter")

    chores = run_chores()
    on_postgresql.sql(
        "UPDATE boards_board SET title = title || '!' WHERE id = 2", "UPDATE boards_entry SET note = 'n'"
    )

    assert published(on_postgresql) >= {"boards", "entries"}
    assert chores.is_leader
    assert capture.missing() == []
    assert capture.uncaptured() == {}


def test_a_role_without_rights_on_a_table_of_the_engine_publishes_without_it(as_waiter, on_postgresql):
    """A chore that the database refuses keeps no other from being done; its error says what to grant."""
    as_waiter("REVOKE ALL ON realtime_triggerclaim FROM waiter")
    chores = Housekeeping("a process")
    chores.stop()

    with pytest.raises(DatabaseError) as raised:
        chores.turn()
    on_postgresql.sql("UPDATE boards_board SET title = title || '!' WHERE id = 1")

    assert "GRANT ALL ON TABLE realtime_triggerclaim" in remedy(raised.value)
    assert chores.is_leader
    assert published(on_postgresql) >= {"boards", "board.1"}


def test_a_database_that_is_read_only_is_named_as_such(as_waiter, on_postgresql):
    """A replica, or a role whose transactions only read: nothing can be published there."""
    as_waiter("ALTER ROLE waiter SET default_transaction_read_only = on")
    chores = Housekeeping("a process")
    chores.stop()

    with pytest.raises(DatabaseError) as raised:
        chores.turn()

    assert "let DATABASE_URL name the primary" in remedy(raised.value)


def test_the_check_says_what_the_owner_is_to_run(as_waiter):
    """A server of this role would not install the triggers."""
    as_waiter(DROPPED)

    with pytest.raises(SystemCheckError) as raised:
        call_command("check", databases=["default"], fail_level="WARNING")

    assert "The role waiter may not create triggers on it: run `manage.py migrate` as the owner" in str(
        raised.value
    )


def test_the_check_names_the_tables_that_the_role_may_not_read(as_waiter, on_postgresql):
    """Each with what to grant; a right on the columns is enough. Other tables are not named."""
    as_waiter(
        "REVOKE SELECT ON boards_board, boards_entry FROM waiter",
        "GRANT SELECT (id) ON boards_entry TO waiter",
    )

    with pytest.raises(SystemCheckError) as raised:
        call_command("check", databases=["default"], fail_level="WARNING")

    assert "GRANT SELECT ON TABLE boards_board TO the role in DATABASE_URL" in str(raised.value)
    assert str(raised.value).count("realtime.W016") == 1
    assert "permission denied for table boards_board" in str(raised.value)


def test_the_doctor_says_what_the_owner_is_to_run(as_waiter):
    """For a trigger that is missing, a table that may not be read, and one of the engine that may not be written."""
    as_waiter(
        DROPPED,
        "REVOKE SELECT ON boards_board FROM waiter",
        "REVOKE DELETE ON realtime_ticket FROM waiter",
    )
    out = StringIO()

    with pytest.raises(SystemExit):
        call_command("doctor", stdout=out)

    assert 'GRANT TRIGGER ON "boards_entry" TO "waiter"' in out.getvalue()
    assert "GRANT SELECT ON TABLE boards_board TO the role in DATABASE_URL" in out.getvalue()
    assert "GRANT ALL ON TABLE realtime_ticket TO the role in DATABASE_URL" in out.getvalue()
