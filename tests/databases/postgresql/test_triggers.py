"""Triggers on PostgreSQL as text; tests/contract runs them in a server."""

import re
from pathlib import Path

import pytest
from django.db.backends.postgresql.base import DatabaseWrapper

import realtime
from realtime.databases.captures import Capture
from realtime.databases.postgresql import columns
from realtime.databases.postgresql.columns import Type
from realtime.databases.postgresql.triggers import PostgreSQLTriggers

CAPTURE = Capture("boards_entry", ("id", "board_id"), (("id",),))


@pytest.fixture
def triggers(monkeypatch) -> PostgreSQLTriggers:
    """Triggers of a connection that is never opened, with the outbox in the schema "public"."""
    monkeypatch.setattr(PostgreSQLTriggers, "_schema", lambda self: "public")
    int8 = Type(20, "int8")
    found = {"id": int8, "board_id": int8, "at": Type(1184, "timestamptz")}
    monkeypatch.setattr(columns, "types", lambda connection, table: found)
    return PostgreSQLTriggers(DatabaseWrapper({}))


def test_each_kind_of_statement_has_a_trigger(triggers):
    """Each with a function of the same name."""
    statements = triggers.statements(CAPTURE)

    assert {name.rpartition("_")[2] for name in statements} == {"insert", "update", "delete", "truncate"}
    for name, statement in statements.items():
        assert f'CREATE FUNCTION "public"."{name}"()' in statement
        assert f'CREATE OR REPLACE TRIGGER "{name}"' in statement


def test_functions_run_with_their_owners_rights_and_search_path(triggers):
    """A role that may write the table needs no rights on the outbox, and cannot redirect the note elsewhere."""
    for statement in triggers.statements(CAPTURE).values():
        assert "SECURITY DEFINER SET search_path = pg_catalog, pg_temp" in statement
        assert "REVOKE ALL ON FUNCTION" in statement
        assert 'INSERT INTO "public"."realtime_outboxrow"' in statement


def test_only_a_truncation_is_noted_without_an_image(triggers):
    """It has no rows to name: any row may have changed."""
    without = [name for name, statement in triggers.statements(CAPTURE).items() if "image" not in statement]

    assert [name.rpartition("_")[2] for name in without] == ["truncate"]


def test_only_columns_that_need_settings_cost_the_writer_any(triggers):
    """And a function with other settings has another name, so that it is installed anew."""
    plain = triggers.statements(CAPTURE)
    dated = triggers.statements(Capture("boards_entry", ("id", "at"), ()))

    assert not any("timezone" in statement for statement in plain.values())
    assert {
        name for name, statement in dated.items() if "SET timezone = 'UTC' SET datestyle = 'ISO'" in statement
    } == {name for name in dated if not name.endswith("_truncate")}
    assert set(plain) & set(dated) == {name for name in plain if name.endswith("_truncate")}


def test_capture_needs_no_notification_and_no_replication():
    """So a row may be longer than a payload of NOTIFY, and no replication slot keeps the write-ahead log."""
    package = Path(realtime.__file__).parent
    sources = [*package.rglob("*.py"), *package.rglob("*.sql")]
    needed = re.compile(r"\bpg_notify\b|\bNOTIFY\b|\bLISTEN\b|replication.slot|CREATE PUBLICATION|wal_level")

    assert [path.name for path in sources if needed.search(path.read_text())] == []
