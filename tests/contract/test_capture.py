"""Triggers are installed, replaced and dropped without an effect on writers."""

import contextlib
import logging
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, connections
from django.db.models.functions import Now

from realtime.boards.models import Board
from realtime.databases.captures import Capture
from realtime.databases.registry import database as engine_database
from realtime.models import OutboxRow, TriggerClaim
from realtime.publishing import capture, housekeeping, positions
from realtime.publishing.housekeeping import Housekeeping
from tests.support.contents import DEMO_TABLES


def noted() -> list[tuple[str, Any]]:
    return list(OutboxRow.objects.order_by("id").values_list("source", "image"))


def test_a_second_installation_does_nothing(database):
    assert capture.missing() == []
    assert capture.install() == []
    assert noted() == []


def test_missing_triggers_are_installed_and_their_table_is_read_again(database):
    """As after a migration, or after a trigger was dropped."""
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
    """The tables that releases need, on the other hand, outlive a crash."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE starts_with(relname, 'realtime_') AND relpersistence = 'p' "
            "AND relkind = 'r'"
        )
        assert sorted(cursor.fetchall()) == [
            ("realtime_feedrelease",), ("realtime_handlercursor",), ("realtime_triggerclaim",),
        ]  # fmt: skip


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

    assert {trigger.table for trigger in triggers.installed()} == DEMO_TABLES


def test_a_disabled_trigger_is_missing(on_postgresql):
    """Restore tools disable triggers."""
    on_postgresql.sql("ALTER TABLE boards_entry DISABLE TRIGGER USER")
    assert [found.table for found in capture.missing()] == ["boards_entry"]

    capture.install()

    assert capture.missing() == []


def test_an_installation_waits_for_a_locked_table_only_briefly(on_postgresql):
    """While it waits for an open transaction, other writers of the table wait behind it."""
    capture.uninstall(["boards_entry"])
    with contextlib.closing(on_postgresql.connect()) as writer:
        writer.execute("BEGIN")
        writer.execute("UPDATE boards_entry SET label = 'x'")

        assert capture.install(wait_seconds=0.2) == []

        assert "lock timeout" in capture.uncaptured()["boards_entry"]
        writer.execute("COMMIT")
    assert [found.table for found in capture.install()] == ["boards_entry"]
    assert capture.uncaptured() == {}


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

    found = [image and (int(image["id"]), int(image["board_id"])) for _, image in noted()]
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

    key = 1 if database.vendor == "sqlite" else "1"
    assert (table, {"id": key, column: "é"}) in noted()


@pytest.mark.parametrize(
    "name", ["new", "old", "found", "tg_op", "touched", "evicted", "source", "image", "oid"]
)
def test_columns_named_like_what_triggers_name_are_captured(database, name):
    """Variables of the language, and what the triggers themselves call rows and columns."""
    database.sql(f'CREATE TABLE named (id integer PRIMARY KEY, "{name}" text)')
    named = Capture("named", ("id", name), (("id",),))
    for statement in engine_database().triggers.statements(named).values():
        database.sql(statement)
    triggers_of_the_other_kinds = OutboxRow.objects.count()

    database.sql(
        "INSERT INTO named VALUES (1, 'a')", f"UPDATE named SET \"{name}\" = 'b'", "DELETE FROM named"
    )

    found = [image[name] for _, image in noted()[triggers_of_the_other_kinds:]]
    assert [found[0], set(found[1:3]), *found[3:]] == ["a", {"a", "b"}, "b"]


# ---------------------------------------------------------------- tables that are exchanged


SWAPS = {
    "renamed": [
        "CREATE TABLE boards_entry_new (LIKE boards_entry INCLUDING ALL)",
        "INSERT INTO boards_entry_new SELECT * FROM boards_entry WHERE id > 3",
        "BEGIN; ALTER TABLE boards_entry RENAME TO boards_entry_old;"
        "ALTER TABLE boards_entry_new RENAME TO boards_entry; COMMIT",
    ],
    "created from a query": [
        "CREATE TABLE boards_entry_new AS SELECT * FROM boards_entry WHERE id > 3",
        "BEGIN; ALTER TABLE boards_entry RENAME TO boards_entry_old;"
        "ALTER TABLE boards_entry_new RENAME TO boards_entry; COMMIT",
    ],
    "moved to another schema": [
        "CREATE SCHEMA stored",
        "CREATE TABLE boards_entry_new (LIKE boards_entry INCLUDING ALL)",
        "BEGIN; ALTER TABLE boards_entry SET SCHEMA stored;"
        "ALTER TABLE boards_entry_new RENAME TO boards_entry; COMMIT",
    ],
    "partitioned": [
        "CREATE TABLE boards_entry_new (LIKE boards_entry) PARTITION BY LIST (board_id)",
        "CREATE TABLE boards_entry_part PARTITION OF boards_entry_new DEFAULT",
        "INSERT INTO boards_entry_new SELECT * FROM boards_entry WHERE id > 3",
        "BEGIN; ALTER TABLE boards_entry RENAME TO boards_entry_old;"
        "ALTER TABLE boards_entry_new RENAME TO boards_entry; COMMIT",
    ],
}


@pytest.mark.parametrize("kind", SWAPS)
def test_a_table_that_took_the_place_of_another_is_captured(on_postgresql, kind):
    """Its topics are read anew, and writes to it are recorded; the former table disturbs nothing."""
    on_postgresql.sql(*SWAPS[kind])
    assert [found.table for found in capture.missing()] == ["boards_entry"]

    capture.install()

    assert capture.missing() == []
    assert noted() == [("boards_entry", None)]
    on_postgresql.sql("UPDATE boards_entry SET board_id = 3 WHERE id = (SELECT min(id) FROM boards_entry)")
    assert len(noted()) == (1 if kind == "moved to another schema" else 3)


def test_tables_may_be_exchanged_again_and_back(on_postgresql):
    """A table that returns has its triggers, new ones or its former ones."""
    swap = (
        "BEGIN; ALTER TABLE boards_entry RENAME TO aside; ALTER TABLE {0} RENAME TO boards_entry;"
        "ALTER TABLE aside RENAME TO {0}; COMMIT"
    )
    on_postgresql.sql("CREATE TABLE second (LIKE boards_entry INCLUDING ALL)")
    on_postgresql.sql("CREATE TABLE third (LIKE boards_entry INCLUDING ALL)")
    for other in ("second", "third", "second", "third"):
        on_postgresql.sql(swap.format(other))

        capture.install()

        assert capture.missing() == []
        assert noted() == [("boards_entry", None)]
        on_postgresql.sql("DELETE FROM realtime_outboxrow")


def test_a_former_table_whose_triggers_cannot_be_dropped_disturbs_nothing(on_postgresql):
    """It is locked by another program; its function is in use and stays."""
    on_postgresql.sql(
        "CREATE TABLE boards_entry_new (LIKE boards_entry INCLUDING ALL)",
        "ALTER TABLE boards_entry RENAME TO boards_entry_old",
        "ALTER TABLE boards_entry_new RENAME TO boards_entry",
    )
    with contextlib.closing(on_postgresql.connect()) as other:
        other.execute("BEGIN")
        other.execute("LOCK TABLE boards_entry_old")

        capture.install(wait_seconds=0.1)

        assert capture.missing() == []
        other.execute("ROLLBACK")
    capture.install()
    assert {trigger.place for trigger in engine_database().triggers.installed()} == DEMO_TABLES


# ---------------------------------------------------------------- what cannot be captured


UNFIT = {
    "a view": ("CREATE VIEW boards_entry AS SELECT * FROM stored", "it is a view"),
    "a materialized view": (
        "CREATE MATERIALIZED VIEW boards_entry AS SELECT * FROM stored",
        "it is a materialized view",
    ),
    "a partition": (
        "CREATE TABLE whole (LIKE stored) PARTITION BY LIST (board_id);"
        "CREATE TABLE boards_entry PARTITION OF whole DEFAULT",
        "it is a partition",
    ),
    "gone": ("SELECT 1", "the database has no such table"),
    "without a column": (
        "CREATE TABLE boards_entry AS SELECT id, label FROM stored",
        "it has no column board_id",
    ),
}


@pytest.mark.parametrize("kind", UNFIT)
def test_a_table_that_cannot_be_captured_is_named_and_the_others_are_captured(
    on_postgresql, kind, caplog, monkeypatch
):
    """With the reason, in the log once."""
    statement, reason = UNFIT[kind]
    monkeypatch.setattr(logging.getLogger("realtime"), "propagate", True)
    capture.uninstall()
    on_postgresql.sql("ALTER TABLE boards_entry RENAME TO stored", *statement.split(";"))

    for _ in range(2):
        capture.install()

    assert list(capture.uncaptured()) == ["boards_entry"]
    assert capture.uncaptured()["boards_entry"].startswith(reason)
    assert {trigger.table for trigger in engine_database().triggers.installed()} == DEMO_TABLES - {
        "boards_entry"
    }
    assert len([line for line in caplog.messages if reason in line]) == 1


def test_a_table_whose_owner_refuses_triggers_is_left_out(on_postgresql, monkeypatch):
    """migrate succeeds, and the other tables are captured."""
    capture.uninstall()
    on_postgresql.sql(
        "DROP ROLE IF EXISTS clerk",
        "CREATE ROLE clerk LOGIN",
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO clerk",
        "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO clerk",
        "GRANT ALL ON SCHEMA public TO clerk",
        "REVOKE TRIGGER ON boards_entry FROM clerk",
    )
    connections["default"].close()
    monkeypatch.setitem(connections["default"].settings_dict, "USER", "clerk")

    call_command("migrate", verbosity=0)

    assert capture.uncaptured() == {
        "boards_entry": "the role clerk may not create triggers on it: run `manage.py migrate` as the owner of the "
        'table, or GRANT TRIGGER ON "boards_entry" TO "clerk"'
    }
    assert {trigger.table for trigger in engine_database().triggers.installed()} == DEMO_TABLES - {
        "boards_entry"
    }
    connections["default"].close()
    on_postgresql.sql("DROP OWNED BY clerk CASCADE", "DROP ROLE clerk")


def test_a_view_in_place_of_a_table_is_named_on_sqlite(database):
    """The same on each database."""
    if database.vendor != "sqlite":
        pytest.skip("only on SQLite")
    capture.uninstall()
    database.sql(
        "ALTER TABLE boards_entry RENAME TO stored", "CREATE VIEW boards_entry AS SELECT * FROM stored"
    )

    capture.install()

    assert capture.uncaptured() == {"boards_entry": "it is a view, whose rows change with other tables"}


# ---------------------------------------------------------------- two releases side by side


def test_triggers_that_another_release_claims_are_left_alone(database):
    """Until ten minutes after its last claim, or for ten minutes where it cannot claim."""
    triggers = engine_database().triggers
    other = Capture("boards_entry", ("id", "label"), (("id",),))
    triggers.create(other)
    needed = {name for one in capture.possible(engine_database()) for name in triggers.statements(one)}
    names = set(triggers.statements(other)) - needed

    capture.drop_obsolete(engine_database(), 1, is_patient=True)
    capture.install()
    assert names <= {trigger.name for trigger in triggers.installed()}

    TriggerClaim.objects.update(claimed_at=Now() - capture.CLAIM_TIME)
    capture.install()
    assert not names & {trigger.name for trigger in triggers.installed()}
    assert capture.missing() == []


# ---------------------------------------------------------------- repairs


@pytest.fixture
def chores(database, monkeypatch) -> Housekeeping:
    """Housekeeping of a leader that does not wait."""
    monkeypatch.setattr(housekeeping, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(housekeeping, "LEADERS_PAUSE_SECONDS", 0.0)
    chores = Housekeeping("one")
    chores.stop()
    return chores


def test_sequencing_goes_on_and_writers_hardly_wait_while_a_table_is_held(on_postgresql, chores, monkeypatch):
    """Each attempt to install its triggers waits for a tenth of a second, after growing pauses."""
    chores.turn()
    capture.uninstall(["boards_entry"])
    with (
        contextlib.closing(on_postgresql.connect()) as holder,
        contextlib.closing(on_postgresql.connect()) as writer,
    ):
        holder.execute("BEGIN")
        holder.execute("UPDATE boards_entry SET label = 'held' WHERE id = 1")
        writer.execute("SET statement_timeout = '2s'")
        for _ in range(5):
            chores.turn()
            writer.execute("UPDATE boards_entry SET label = 'x' WHERE id = 2")
        Board.objects.create(slug="other", title="Other")
        assert on_postgresql.sequence() is not None
        assert "lock timeout" in capture.uncaptured()["boards_entry"]
        holder.execute("COMMIT")
    for repair in chores._repairs.values():
        repair.due_at = 0.0

    chores.turn()

    assert capture.missing() == []
