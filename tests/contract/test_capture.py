"""Triggers are installed, replaced and dropped without an effect on writers."""

import contextlib

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection

from realtime.boards.models import Board
from realtime.databases.captures import Capture
from realtime.databases.postgresql import triggers as postgresql
from realtime.databases.registry import database as engine_database
from realtime.models import OutboxRow
from realtime.publishing import capture, positions


def noted() -> list[tuple[str, object]]:
    return list(OutboxRow.objects.order_by("id").values_list("source", "image"))


def test_a_second_installation_does_nothing(database):
    assert capture.missing() == []
    assert capture.install() == []
    assert noted() == []


def test_missing_triggers_are_installed_and_their_table_is_read_again(database):
    """As after a migration, or after someone dropped a trigger."""
    capture.uninstall(["boards_entry"])
    assert [found.table for found in capture.missing()] == ["boards_entry"]

    capture.install()

    assert capture.missing() == []
    assert noted() == [("boards_entry", None)]


@pytest.mark.parametrize("app", ["boards", "realtime"])
def test_migrations_down_and_up_again_leave_capture_whole(database, app):
    """Live tables, or the engine's own, that are dropped and created again are captured, in a log that works."""
    call_command("migrate", app, "zero", verbosity=0)
    call_command("migrate", verbosity=0)
    positions.ensure_epoch()
    database.sequence()

    board = Board.objects.create(slug="after", title="After")

    assert capture.missing() == []
    assert f"board.{board.pk}" in [entry.topic for entry in database.sequence().entries]


def test_the_tables_that_positions_rest_on_are_unlogged(on_postgresql):
    """What releases need, on the other hand, outlives a crash."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE starts_with(relname, 'realtime_') AND relpersistence = 'p' "
            "AND relkind = 'r'"
        )
        assert sorted(cursor.fetchall()) == [("realtime_feedrelease",), ("realtime_triggerclaim",)]


def test_triggers_of_tables_that_are_no_longer_live_are_dropped(database):
    """On PostgreSQL also functions whose table was dropped."""
    triggers = engine_database().triggers
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE gone (id integer)")
        cursor.execute("CREATE TABLE idle (id integer)")
    for table in ("gone", "idle"):
        for statement in triggers.statements(Capture(table, ("id",), (("id",),))).values():
            with connection.cursor() as cursor:
                cursor.execute(statement, [])
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE gone")

    capture.install()

    assert set(triggers.installed().values()) == {"boards_entry", "boards_board"}


def test_a_disabled_trigger_is_missing(on_postgresql):
    """Restore tools disable triggers."""
    on_postgresql.sql("ALTER TABLE boards_entry DISABLE TRIGGER USER")
    assert [found.table for found in capture.missing()] == ["boards_entry"]

    capture.install()

    assert capture.missing() == []


def test_an_installation_waits_for_a_locked_table_only_briefly(on_postgresql, monkeypatch):
    """While it waits for an open transaction, other writers of the table wait behind it."""
    monkeypatch.setattr(postgresql, "LOCK_SECONDS", 0.2)
    capture.uninstall(["boards_entry"])
    with contextlib.closing(on_postgresql.connect()) as writer:
        writer.execute("BEGIN")
        writer.execute("UPDATE boards_entry SET label = 'x'")

        with pytest.raises(OperationalError, match="lock timeout"):
            capture.install()

        writer.execute("COMMIT")
    assert [found.table for found in capture.install()] == ["boards_entry"]


def test_a_partitioned_table_is_captured_at_its_root(on_postgresql):
    """Writes through the root are noted, also rows that change partition; writes to a partition itself are not."""
    on_postgresql.sql(
        "CREATE TABLE part (id bigint, board_id bigint) PARTITION BY LIST (board_id)",
        "CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1)",
        "CREATE TABLE part_2 PARTITION OF part FOR VALUES IN (2)",
    )
    for statement in engine_database().triggers.statements(Capture("part", ("id", "board_id"), ())).values():
        with connection.cursor() as cursor:
            cursor.execute(statement, [])

    on_postgresql.sql(
        "INSERT INTO part VALUES (1, 1), (2, 2)",
        "UPDATE part SET board_id = 2 WHERE id = 1",
        "DELETE FROM part WHERE id = 2",
        "TRUNCATE part",
        "INSERT INTO part_1 VALUES (9, 1)",
    )

    found = [image and (image["id"], image["board_id"]) for _, image in noted()]
    assert found[:2] == [(1, 1), (2, 2)]
    assert sorted(found[2:4]) == [(1, 1), (1, 2)]
    assert found[4:] == [(2, 2), None]


def test_names_that_need_quotes_are_captured(database):
    """Mixed case, spaces and quotes."""
    triggers = engine_database().triggers
    quote = connection.ops.quote_name
    table, column = "Odd 'table", "order's"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {quote(table)} (id integer PRIMARY KEY, {quote(column)} text)")
        for statement in triggers.statements(Capture(table, ("id", column), (("id",),))).values():
            cursor.execute(statement, [])
        cursor.execute(f"INSERT INTO {quote(table)} VALUES (1, 'é')")

    assert (table, {"id": 1, column: "é"}) in noted()
