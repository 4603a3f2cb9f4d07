"""Tables that are not what they were, in ways that no trigger notes, are read again, whichever process looks next."""

import contextlib
import threading
import time

import pytest
from django.db import connection, connections

from realtime.databases.registry import database as engine_database
from realtime.models import OutboxRow
from realtime.publishing import capture, housekeeping, positions
from realtime.publishing.housekeeping import Housekeeping
from realtime.publishing.positions import read_snapshot
from realtime.publishing.table_watch import TableWatch
from tests.conftest import until
from tests.contract.conftest import Database, Follower
from tests.delivery.conftest import Follower as HubFollower

PARTITIONED = [
    "ALTER TABLE boards_entry RENAME TO former",
    "CREATE TABLE boards_entry (LIKE former INCLUDING DEFAULTS) PARTITION BY LIST (board_id)",
    "CREATE TABLE part_1 PARTITION OF boards_entry FOR VALUES IN (1)",
    "CREATE TABLE part_2 PARTITION OF boards_entry FOR VALUES IN (2)",
    "INSERT INTO boards_entry SELECT * FROM former",
]
PARTITIONS = {
    "detached": ["ALTER TABLE boards_entry DETACH PARTITION part_2"],
    "detached concurrently": ["ALTER TABLE boards_entry DETACH PARTITION part_2 CONCURRENTLY"],
    "dropped": ["DROP TABLE part_2"],
    "detached, written to and attached": [
        "BEGIN; ALTER TABLE boards_entry DETACH PARTITION part_2; UPDATE part_2 SET label = 'other';"
        "ALTER TABLE boards_entry ATTACH PARTITION part_2 FOR VALUES IN (2); COMMIT",
    ],
    "attached": ["CREATE TABLE part_3 PARTITION OF boards_entry FOR VALUES IN (3)"],
    "emptied by itself": ["TRUNCATE part_2"],
    "split further": [
        "BEGIN; DROP TABLE part_2;"
        "CREATE TABLE part_2 PARTITION OF boards_entry FOR VALUES IN (2) PARTITION BY HASH (id);"
        "CREATE TABLE part_2_0 PARTITION OF part_2 FOR VALUES WITH (MODULUS 1, REMAINDER 0); COMMIT",
    ],
}
ON_POSTGRESQL = {
    "written to while its triggers were disabled": [
        "ALTER TABLE boards_entry DISABLE TRIGGER USER",
        "UPDATE boards_entry SET label = 'other'",
        "ALTER TABLE boards_entry ENABLE TRIGGER USER",
    ],
    "emptied while its triggers were disabled": [
        "BEGIN; ALTER TABLE boards_entry DISABLE TRIGGER USER; TRUNCATE boards_entry CASCADE;"
        "ALTER TABLE boards_entry ENABLE TRIGGER USER; COMMIT",
    ],
    "with a column that is another one": [
        "BEGIN; ALTER TABLE boards_entry DROP COLUMN label;"
        "ALTER TABLE boards_entry ADD COLUMN label varchar(100) DEFAULT 'other'; COMMIT",
    ],
    "with columns whose names were exchanged": [
        "BEGIN; ALTER TABLE boards_entry RENAME COLUMN label TO aside;"
        "ALTER TABLE boards_entry RENAME COLUMN note TO label;"
        "ALTER TABLE boards_entry RENAME COLUMN aside TO note; COMMIT",
    ],
    "with a column of another type": [
        "ALTER TABLE boards_entry ALTER COLUMN note TYPE varchar(10) USING 'x'"
    ],
    "unlogged": ["ALTER TABLE boards_entry SET UNLOGGED"],
    "rewritten": ["VACUUM FULL boards_entry"],
    "with an heir": [
        "CREATE TABLE heir (LIKE boards_entry INCLUDING DEFAULTS)",
        "ALTER TABLE heir INHERIT boards_entry",
    ],
    "exchanged for one that has its triggers": [
        "CREATE TABLE other (LIKE boards_entry INCLUDING DEFAULTS)",
        "DO $$ DECLARE one text; BEGIN FOR one IN SELECT pg_get_triggerdef(oid) FROM pg_trigger "
        "WHERE tgrelid = 'boards_entry'::regclass AND NOT tgisinternal "
        "LOOP EXECUTE replace(one, 'boards_entry', 'other'); END LOOP; END $$",
        "BEGIN; ALTER TABLE boards_entry RENAME TO aside; ALTER TABLE other RENAME TO boards_entry; COMMIT",
    ],
}


BACK_AGAIN = {
    "with a column that was renamed, written to and named back": [
        "ALTER TABLE boards_entry RENAME COLUMN label TO aside",
        "UPDATE boards_entry SET aside = 'other'",
        "ALTER TABLE boards_entry RENAME COLUMN aside TO label",
    ],
    "with another type of its key": [
        "ALTER TABLE boards_entry ALTER COLUMN id DROP IDENTITY",
        "ALTER TABLE boards_entry ALTER COLUMN id TYPE numeric",
        "UPDATE boards_entry SET label = 'other' WHERE id = 3",
        "ALTER TABLE boards_entry ALTER COLUMN id TYPE integer",
    ],
    "with another type of its topic": [
        "ALTER TABLE boards_entry ALTER COLUMN board_id TYPE integer",
        "UPDATE boards_entry SET board_id = 3 - board_id WHERE id IN (3, 4)",
    ],
    "moved to another schema, written to and moved back": [
        "CREATE SCHEMA aside",
        "ALTER TABLE boards_entry SET SCHEMA aside",
        "UPDATE aside.boards_entry SET label = 'other'",
        "ALTER TABLE aside.boards_entry SET SCHEMA public",
    ],
    "renamed, written to and named back": [
        "ALTER TABLE boards_entry RENAME TO aside",
        "UPDATE aside SET label = 'other'",
        "ALTER TABLE aside RENAME TO boards_entry",
    ],
}
"""Statements that make a table another one for a while, in which rows are written."""
BACK_AGAIN_ON_SQLITE = {
    "renamed, written to and named back": BACK_AGAIN["renamed, written to and named back"],
    "renamed in the former way": [
        "PRAGMA legacy_alter_table = ON",
        *BACK_AGAIN["renamed, written to and named back"],
    ],
    "with a topic's column that was renamed, written to and named back": [
        "ALTER TABLE boards_entry RENAME COLUMN board_id TO aside",
        "UPDATE boards_entry SET aside = 3 - aside WHERE id IN (3, 4)",
        "ALTER TABLE boards_entry RENAME COLUMN aside TO board_id",
    ],
}


@pytest.fixture(autouse=True)
def looks_at_every_turn(monkeypatch) -> None:
    monkeypatch.setattr(housekeeping, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(housekeeping, "LEADERS_PAUSE_SECONDS", 0.0)


def chores(name: str) -> Housekeeping:
    """Return the housekeeping of a process that has just started, and does not wait."""
    chores = Housekeeping(name)
    chores.stop()
    return chores


def resets() -> list[str]:
    """Return the tables whose resets wait in the outbox, and remove these."""
    found = list(OutboxRow.objects.filter(image__isnull=True).order_by("id").values_list("source", flat=True))
    OutboxRow.objects.all().delete()
    return found


def assert_noticed(database: Database, *statements: str) -> None:
    """Assert that statements are noticed by a process that has seen the table before, and by one that has not."""
    first = chores("one")
    first.turn()
    resets()
    first.turn()
    assert resets() == []

    database.sql(*statements)
    chores("two").turn()
    assert "boards_entry" in resets()

    for _ in range(2):
        first.turn()
    assert capture.missing() == []
    resets()
    for late in (first, chores("three")):
        late.turn()
    assert resets() == []


@pytest.mark.parametrize("kind", PARTITIONS)
def test_a_table_with_other_partitions_is_read_again(on_postgresql, kind):
    """Writes through the table itself are noted; its partitions are exchanged without one."""
    on_postgresql.sql(*PARTITIONED)

    assert_noticed(on_postgresql, *PARTITIONS[kind])


@pytest.mark.parametrize("kind", ON_POSTGRESQL)
def test_a_table_that_became_another_one_is_read_again(on_postgresql, kind):
    """All its triggers are there when a process looks."""
    assert_noticed(on_postgresql, *ON_POSTGRESQL[kind])


def assert_found(database: Database, statements: list[str], *, is_sequenced: bool) -> None:
    """Assert that followers have what statements write, whether they are sequenced one by one or together."""
    followers = [Follower(f"entries.{board}") for board in (1, 2)]
    process = chores("one")
    process.turn()

    with contextlib.closing(database.connect()) as plain:
        for statement in statements:
            plain.execute(statement)
            if is_sequenced:
                database.sequence()
                process.turn()
    for _ in range(3):
        process.turn()
        database.sequence()

    for follower in followers:
        follower.follow()
        follower.assert_equals_source()
    assert capture.missing() == []


MEANWHILE = pytest.mark.parametrize("is_sequenced", [True, False], ids=["sequenced meanwhile", "afterwards"])


@MEANWHILE
@pytest.mark.parametrize("kind", BACK_AGAIN)
def test_what_is_written_while_a_table_is_another_one_is_found(on_postgresql, kind, is_sequenced):
    """Its triggers note it, or it is read again when it has its name back."""
    assert_found(on_postgresql, BACK_AGAIN[kind], is_sequenced=is_sequenced)


@MEANWHILE
@pytest.mark.parametrize("kind", BACK_AGAIN_ON_SQLITE)
def test_what_is_written_while_a_table_is_another_one_is_found_on_sqlite(on_sqlite, kind, is_sequenced):
    """Also where SQLite changes the triggers with the table."""
    assert_found(on_sqlite, BACK_AGAIN_ON_SQLITE[kind], is_sequenced=is_sequenced)


def test_a_table_with_another_expression_of_a_column_is_read_again(on_postgresql):
    """A column that is computed when it is read has other values in all rows at once."""
    if getattr(connection, "pg_version", 0) < 18_00_00:
        pytest.skip("this server has no such columns")
    on_postgresql.sql("ALTER TABLE boards_entry ADD shown text GENERATED ALWAYS AS (upper(label)) VIRTUAL")

    assert_noticed(on_postgresql, "ALTER TABLE boards_entry ALTER shown SET EXPRESSION AS (lower(label))")


def test_a_table_without_an_heir_is_read_again(on_postgresql):
    """Its rows are no longer among those of the table."""
    on_postgresql.sql(*ON_POSTGRESQL["with an heir"])

    assert_noticed(on_postgresql, "ALTER TABLE heir NO INHERIT boards_entry")


def trigger_statements(database: Database) -> list[tuple[str, str]]:
    with contextlib.closing(database.connect()) as plain:
        return plain.execute(
            "SELECT name, sql FROM sqlite_master WHERE tbl_name = 'boards_entry' AND type = 'trigger'"
        ).fetchall()


def test_triggers_that_were_away_while_rows_were_written_are_noticed_on_sqlite(on_sqlite):
    """A tool may drop them to write much, and create them again as they were."""
    triggers = trigger_statements(on_sqlite)

    assert_noticed(
        on_sqlite,
        "BEGIN",
        *(f'DROP TRIGGER "{name}"' for name, _ in triggers),
        "UPDATE boards_entry SET label = 'other'",
        *(statement for _, statement in triggers),
        "COMMIT",
    )


def test_a_table_that_is_made_anew_with_its_triggers_is_read_again_on_sqlite(on_sqlite):
    """The procedure that SQLite's documentation describes for changes that ALTER TABLE cannot make."""
    triggers = trigger_statements(on_sqlite)
    with contextlib.closing(on_sqlite.connect()) as plain:
        (create,) = plain.execute("SELECT sql FROM sqlite_master WHERE name = 'boards_entry'").fetchone()

    assert_noticed(
        on_sqlite,
        "PRAGMA foreign_keys = OFF",
        "BEGIN",
        create.replace("boards_entry", "remade", 1),
        "INSERT INTO remade SELECT * FROM boards_entry WHERE id > 3",
        "DROP TABLE boards_entry",
        "ALTER TABLE remade RENAME TO boards_entry",
        *(statement for _, statement in triggers),
        "COMMIT",
    )


def test_of_two_processes_that_notice_one_resets_the_table(database):
    """The other one finds that the reset was written already."""
    watches = [TableWatch(), TableWatch()]
    for table_watch in watches:
        table_watch.look()
        table_watch.read_again()
    resets()
    database.sql("ALTER TABLE boards_entry ADD COLUMN more integer")

    for table_watch in watches:
        table_watch.look()
    told = [table_watch.read_again() for table_watch in watches]

    assert "boards_entry" in told[0]
    assert told[1] == []
    assert resets().count("boards_entry") == 1


FOR_A_MOMENT = {
    "another partition": (
        ["ALTER TABLE boards_entry ATTACH PARTITION aside FOR VALUES IN (2)"],
        ["ALTER TABLE boards_entry DETACH PARTITION aside"],
    ),
    "another table": (
        [
            "BEGIN; ALTER TABLE boards_entry RENAME TO former; ALTER TABLE aside RENAME TO boards_entry; COMMIT"
        ],
        [
            "BEGIN; ALTER TABLE boards_entry RENAME TO aside; ALTER TABLE former RENAME TO boards_entry; COMMIT"
        ],
    ),
}


@pytest.mark.parametrize("kind", FOR_A_MOMENT)
async def test_rows_of_a_table_that_was_another_one_for_a_moment_do_not_stay(
    on_postgresql, make_hub, in_database, kind
):
    """No process looks at the table in this moment, but the topic is read, for another reason."""
    database, (there, back) = on_postgresql, FOR_A_MOMENT[kind]
    if kind == "another partition":
        database.sql(
            *PARTITIONED, "ALTER TABLE boards_entry DETACH PARTITION part_2", "DROP TABLE former CASCADE"
        )
    database.sql(
        "CREATE TABLE aside (LIKE boards_entry INCLUDING DEFAULTS)",
        "INSERT INTO aside (id, board_id, label, note, position, is_visible) VALUES (99, 2, 'aside', '', 1, true)",
    )
    process = await in_database(chores, "one")
    for _ in range(3):
        await in_database(process.turn)
        await in_database(database.sequence)
    wire = await make_hub()
    follower = await HubFollower("entries.2").follow(wire.hub)
    await wire.settle()
    assert "99" not in follower.replica.rows

    await in_database(database.sql, *there)
    await in_database(database.sql, "INSERT INTO realtime_outboxrow (source) VALUES ('boards_entry')")
    await in_database(database.sequence)
    await until(lambda: "99" in follower.replica.rows)
    await in_database(resets)
    await in_database(database.sql, *back)

    await until(lambda: "99" not in follower.replica.rows)
    await in_database(process.turn)
    assert await in_database(resets) == []


RESTORED = [
    f"ALTER TABLE {table} RENAME TO former_{table}; CREATE TABLE {table} (LIKE former_{table} INCLUDING ALL);"
    f"INSERT INTO {table} SELECT * FROM former_{table}"
    for table in ("realtime_sequencer", "boards_entry")
]


@pytest.mark.parametrize("log", ["begun", "not begun"])
def test_a_reading_that_waits_for_a_restore_has_its_rows(on_postgresql, log):
    """Its snapshot is older than the new tables, in which it sees no row, and no epoch either."""
    if log == "not begun":
        on_postgresql.sql("DELETE FROM realtime_sequencer")
    keys = [row.key for row in positions.read_topic("entries.2").rows]
    readings: list[positions.Reading] = []

    def read() -> None:
        try:
            readings.append(positions.read_topic("entries.2"))
        finally:
            connections.close_all()

    reader = threading.Thread(target=read)
    with contextlib.closing(on_postgresql.connect()) as other:
        other.execute("BEGIN")
        for statement in RESTORED:
            other.execute(statement)
        reader.start()
        ends = time.monotonic() + 60
        while not other.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
            assert time.monotonic() < ends, "the reading does not wait"
        other.execute("COMMIT")
    reader.join(60)

    assert keys
    assert [row.key for row in readings[0].rows] == keys


SHAPES = {
    "plain": [],
    **{f"with partitions, one {kind}": [*PARTITIONED, *of_kind] for kind, of_kind in PARTITIONS.items()},
} | {
    "with an heir": ON_POSTGRESQL["with an heir"],
    "rewritten": ON_POSTGRESQL["rewritten"],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_reading_and_a_look_agree_on_what_a_table_is_read_from(on_postgresql, shape):
    """Otherwise its topics would be read again at every look."""
    on_postgresql.sql(*SHAPES[shape])

    with read_snapshot() as moment:
        of_reading = moment.files(["boards_entry"])

    assert of_reading == {
        "boards_entry": engine_database().table_states(["boards_entry"])["boards_entry"].files
    }


def test_a_look_waits_for_no_lock_of_a_table_or_partition(on_postgresql):
    """A TRUNCATE that is not committed, for example, must not keep other feeds from the log."""
    on_postgresql.sql(*PARTITIONED)
    with contextlib.closing(on_postgresql.connect()) as other, connection.cursor() as cursor:
        other.execute("BEGIN")
        other.execute("LOCK TABLE part_1, boards_entry IN ACCESS EXCLUSIVE MODE")
        cursor.execute("SET lock_timeout = '100ms'")

        assert engine_database().table_states(["boards_entry"])
