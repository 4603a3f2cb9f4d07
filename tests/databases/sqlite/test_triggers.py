"""Capture on SQLite: every way to write a row is noted in the outbox, in the writer's own transaction."""

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, models, transaction

from realtime.boards.models import Board, Entry
from realtime.databases.captures import Capture
from realtime.databases.sqlite.triggers import SQLiteTriggers
from realtime.models import OutboxRow
from realtime.publishing import capture
from tests.support.contents import DEMO_TABLES
from tests.support.positions import position_now

Images = set[tuple[int, int]]
STEPS_RATIO = 4.0
"""How many times the steps of an update without triggers one with them may take."""


@dataclass
class Harbour:
    """Two boards; the first one has two entries."""

    here: Board
    there: Board
    one: Entry
    two: Entry
    folder: Path

    def plain(self) -> contextlib.closing[sqlite3.Connection]:
        """Return a connection as another program opens it: no Django, no foreign keys."""
        path = connection.settings_dict["NAME"]
        return contextlib.closing(sqlite3.connect(path, timeout=10, isolation_level=None))


@pytest.fixture
def harbour(log, tmp_path) -> Harbour:
    here, there = (Board.objects.create(slug=slug, title=slug) for slug in ("here", "there"))
    one, two = (Entry.objects.create(board=here, label=label) for label in ("one", "two"))
    log.sequence()
    return Harbour(here, there, one, two, tmp_path)


# ---------------------------------------------------------------- every writer
# Each function writes and returns the (entry, board) images that must be noted, and no others.


def save_of_a_new_row(harbour: Harbour) -> Images:
    return {(Entry.objects.create(board=harbour.here, label="new").pk, harbour.here.pk)}


def save(harbour: Harbour) -> Images:
    harbour.one.label = "changed"
    harbour.one.save()
    return {(harbour.one.pk, harbour.here.pk)}


def save_with_another_board(harbour: Harbour) -> Images:
    harbour.one.board = harbour.there
    harbour.one.save(update_fields=["board"])
    return {(harbour.one.pk, harbour.here.pk), (harbour.one.pk, harbour.there.pk)}


def delete(harbour: Harbour) -> Images:
    key = harbour.one.pk
    harbour.one.delete()
    return {(key, harbour.here.pk)}


def update(harbour: Harbour) -> Images:
    harbour.here.entries.update(position=models.F("position") + 1)
    return {(harbour.one.pk, harbour.here.pk), (harbour.two.pk, harbour.here.pk)}


def update_of_the_board(harbour: Harbour) -> Images:
    Entry.objects.filter(pk=harbour.two.pk).update(board=harbour.there)
    return {(harbour.two.pk, harbour.here.pk), (harbour.two.pk, harbour.there.pk)}


def update_of_the_key(harbour: Harbour) -> Images:
    Entry.objects.filter(pk=harbour.two.pk).update(id=harbour.two.pk + 1000)
    return {(harbour.two.pk, harbour.here.pk), (harbour.two.pk + 1000, harbour.here.pk)}


def update_of_nothing(harbour: Harbour) -> Images:
    Entry.objects.filter(pk=-5).update(label="nobody")
    return set()


def bulk_create(harbour: Harbour) -> Images:
    made = Entry.objects.bulk_create(Entry(board=harbour.there, label=label) for label in "abc")
    return {(entry.pk, harbour.there.pk) for entry in made}


def bulk_create_ignoring_conflicts(harbour: Harbour) -> Images:
    new = harbour.two.pk + 1
    Entry.objects.bulk_create(
        [Entry(id=harbour.one.pk, board=harbour.there, label="x"), Entry(id=new, board=harbour.there)],
        ignore_conflicts=True,
    )
    # The conflicting row is noted too, in its present place, which is harmless.
    return {(new, harbour.there.pk), (harbour.one.pk, harbour.here.pk)}


def bulk_create_updating_conflicts(harbour: Harbour) -> Images:
    Entry.objects.bulk_create(
        [Entry(id=harbour.one.pk, board=harbour.there, label="x")],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["board"],
    )
    return {(harbour.one.pk, harbour.here.pk), (harbour.one.pk, harbour.there.pk)}


def bulk_update(harbour: Harbour) -> Images:
    harbour.one.board, harbour.two.label = harbour.there, "renamed"
    Entry.objects.bulk_update([harbour.one, harbour.two], ["board", "label"])
    here, there = harbour.here.pk, harbour.there.pk
    return {(harbour.one.pk, here), (harbour.one.pk, there), (harbour.two.pk, here)}


def delete_of_a_queryset(harbour: Harbour) -> Images:
    harbour.here.entries.all().delete()
    return {(harbour.one.pk, harbour.here.pk), (harbour.two.pk, harbour.here.pk)}


def delete_of_the_board(harbour: Harbour) -> Images:
    here = harbour.here.pk
    harbour.here.delete()
    return {(harbour.one.pk, here), (harbour.two.pk, here)}


def raw_delete(harbour: Harbour) -> Images:
    Entry.objects.filter(pk=harbour.one.pk)._raw_delete("default")
    return {(harbour.one.pk, harbour.here.pk)}


def update_or_create(harbour: Harbour) -> Images:
    Entry.objects.update_or_create({"note": "hello"}, pk=harbour.one.pk)
    return {(harbour.one.pk, harbour.here.pk)}


def raw_sql(harbour: Harbour) -> Images:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE boards_entry SET value = '50%%' WHERE id = %s", [harbour.one.pk])
        cursor.executemany("DELETE FROM boards_entry WHERE id = %s", [[harbour.two.pk]])
    return {(harbour.one.pk, harbour.here.pk), (harbour.two.pk, harbour.here.pk)}


def delete_without_where(harbour: Harbour) -> Images:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM boards_entry")
    return {(harbour.one.pk, harbour.here.pk), (harbour.two.pk, harbour.here.pk)}


def another_program(harbour: Harbour) -> Images:
    with harbour.plain() as plain:
        plain.execute("UPDATE boards_entry SET board_id = ? WHERE id = ?", [harbour.there.pk, harbour.one.pk])
        plain.execute("INSERT INTO boards_entry (board_id, label) VALUES (?, 'sql')", [harbour.there.pk])
        plain.execute("DELETE FROM boards_entry WHERE id = ?", [harbour.two.pk])
    here, there = harbour.here.pk, harbour.there.pk
    new = Entry.objects.get(label="sql").pk
    return {(harbour.one.pk, here), (harbour.one.pk, there), (new, there), (harbour.two.pk, here)}


def insert_from_select(harbour: Harbour) -> Images:
    with harbour.plain() as plain:
        plain.execute("INSERT INTO boards_entry (board_id, label) SELECT id, 'each' FROM boards_board")
    return set(Entry.objects.filter(label="each").values_list("pk", "board_id"))


def replace_by_key(harbour: Harbour) -> Images:
    with harbour.plain() as plain:
        plain.execute(
            "INSERT OR REPLACE INTO boards_entry (id, board_id, label) VALUES (?, ?, 'new')",
            [harbour.one.pk, harbour.there.pk],
        )
    return {(harbour.one.pk, harbour.here.pk), (harbour.one.pk, harbour.there.pk)}


def upsert_that_updates(harbour: Harbour) -> Images:
    with harbour.plain() as plain:
        plain.execute(
            "INSERT INTO boards_entry (id, board_id, label) VALUES (?, ?, 'x') "
            "ON CONFLICT (id) DO UPDATE SET board_id = excluded.board_id",
            [harbour.one.pk, harbour.there.pk],
        )
    return {(harbour.one.pk, harbour.here.pk), (harbour.one.pk, harbour.there.pk)}


def upsert_that_does_nothing(harbour: Harbour) -> Images:
    with harbour.plain() as plain:
        plain.execute(
            "INSERT INTO boards_entry (id, board_id, label) VALUES (?, ?, 'x') ON CONFLICT DO NOTHING",
            [harbour.one.pk, harbour.there.pk],
        )
    return {(harbour.one.pk, harbour.here.pk)}  # noted in its present place, which is harmless


def loaddata(harbour: Harbour) -> Images:
    fixture = harbour.folder / "entries.json"
    fields = {"board": harbour.there.pk, "label": "loaded", "updated": "2026-01-01T00:00:00Z"}
    rows = [harbour.one.pk, harbour.two.pk + 7]
    fixture.write_text(json.dumps([{"model": "boards.entry", "pk": pk, "fields": fields} for pk in rows]))
    call_command("loaddata", fixture, verbosity=0)
    here, there = harbour.here.pk, harbour.there.pk
    return {(harbour.one.pk, here), (harbour.one.pk, there), (harbour.two.pk + 7, there)}


WRITERS = [
    save_of_a_new_row, save, save_with_another_board, delete, update, update_of_the_board, update_of_the_key,
    update_of_nothing, bulk_create, bulk_create_ignoring_conflicts, bulk_create_updating_conflicts, bulk_update,
    delete_of_a_queryset, delete_of_the_board, raw_delete, update_or_create, raw_sql, delete_without_where,
    another_program, insert_from_select, replace_by_key, upsert_that_updates, upsert_that_does_nothing, loaddata,
]  # fmt: skip


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_every_kind_of_write_is_noted(harbour, images, write):
    """The outbox has the old and the new key and board of every touched row, and of no other row."""
    expected = write(harbour)

    assert set(images(Entry)) == expected


def test_a_row_replaced_through_a_unique_column_is_noted(harbour, images):
    """INSERT OR REPLACE fires no delete trigger for the row that had the new row's slug."""
    with harbour.plain() as plain:
        plain.execute("INSERT OR REPLACE INTO boards_board (slug, title) VALUES ('here', 'usurper')")

    new = Board.objects.get(slug="here").pk
    assert set(images(Board)) == {(harbour.here.pk,), (new,)}
    assert new != harbour.here.pk


@pytest.mark.parametrize(
    "constraint",
    [
        models.UniqueConstraint(fields=["dock", "place"], name="both"),
        models.UniqueConstraint(fields=["place"], condition=models.Q(is_taken=True), name="taken"),
    ],
    ids=["two columns", "a condition"],
)
def test_a_row_replaced_through_a_constraint_is_noted(log, live, make_model, images, constraint):
    """The old image of a replaced row is noted, with its topic; docs/feeds.md lists the exceptions."""
    berths = make_model(
        "Berth",
        {"constraints": [constraint]},
        name=models.CharField(max_length=20),
        dock=models.IntegerField(),
        place=models.IntegerField(),
        is_taken=models.BooleanField(default=True),
    )
    live(berths, topic_field="name")
    old = berths.objects.create(name="OLD", dock=1, place=1)
    log.sequence()

    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT OR REPLACE INTO throwaway_berth (name, dock, place, is_taken) VALUES ('old', 1, 1, 1)"
        )

    assert not berths.objects.filter(pk=old.pk).exists()
    assert (old.pk, "OLD") in images(berths)


# ---------------------------------------------------------------- updates that move a row

MOVES = {
    "its topic": "UPDATE slips SET topic = 'b'",
    "in another case": "UPDATE slips SET ToPiC = 'b'",
    "beside others": "UPDATE slips SET (label, topic) = ('x', 'b')",
    "from another table": "UPDATE slips SET topic = two.topic FROM (SELECT 'b' AS topic) AS two",
    "by an upsert": "INSERT INTO slips (id, topic) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET topic = 'b'",
    "by a cascade": "UPDATE piers SET name = 'b'",
    "by a trigger": "UPDATE slips SET label = 'moves'",
}


@pytest.fixture
def slips(log) -> Iterator[Callable[..., list[object]]]:
    """A table with a row in topic "a", and a function that captures it, runs a statement and returns what is noted."""
    statements = [
        "CREATE TABLE piers (name text PRIMARY KEY)",
        "CREATE TABLE slips (id integer PRIMARY KEY, topic text REFERENCES piers ON UPDATE CASCADE, label text, "
        "doubled text GENERATED ALWAYS AS (label || label) VIRTUAL)",
        "CREATE TRIGGER project AFTER UPDATE OF label ON slips WHEN NEW.label = 'moves' "
        "BEGIN UPDATE slips SET topic = 'b'; END",
        "INSERT INTO piers VALUES ('a')",
        "INSERT INTO slips (id, topic, label) VALUES (1, 'a', 'l')",
    ]

    def run(*statements: str) -> None:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement, None)

    def noted(statement: str, *columns: str) -> list[object]:
        with transaction.atomic():
            triggers = SQLiteTriggers(connection)
            triggers.create(triggers.completed(Capture("slips", columns, (("id",),))))
        before = position_now().offset
        with transaction.atomic():
            run(
                "PRAGMA defer_foreign_keys = ON", statement, "INSERT OR IGNORE INTO piers VALUES ('b'), ('x')"
            )
        rows = OutboxRow.objects.filter(source="slips", id__gte=before).order_by("id")
        return [tuple(row.image.values()) for row in rows]

    run(*statements)
    yield noted
    run("DROP TABLE slips", "DROP TABLE piers")


@pytest.mark.parametrize("move", MOVES)
def test_a_row_that_moves_is_noted_where_it_was_and_is(slips, move):
    """However the update names the column, and for every writer."""
    assert {(1, "a"), (1, "b")} <= set(slips(MOVES[move], "id", "topic"))


@pytest.mark.parametrize("name", ["id", "rowid", "_rowid_", "OID"])
def test_a_key_that_changes_is_noted_by_any_of_its_names(slips, name):
    """SQLite has three more names for an integer primary key."""
    assert slips(f"UPDATE slips SET {name} = 5", "id", "topic") == [(5, "a"), (1, "a")]


def test_a_computed_column_is_noted_when_what_it_is_computed_from_changes(slips):
    """No update sets it."""
    assert slips("UPDATE slips SET label = 'm'", "id", "doubled") == [(1, "mm"), (1, "ll")]


def test_an_update_of_other_columns_notes_a_row_once(slips):
    """SQLite does not even run the trigger that compares old and new values."""
    assert slips("UPDATE slips SET label = 'm'", "id", "topic") == [(1, "a")]


def test_an_update_of_many_rows_takes_few_steps_more(harbour):
    """Steps of SQLite's machine, which are the same on every run: each row's trigger is a part of its writer's time."""

    def steps() -> int:
        taken = 0

        def step() -> int:
            nonlocal taken
            taken += 1
            return 0

        connection.connection.set_progress_handler(step, 1)
        Entry.objects.update(value="x")
        connection.connection.set_progress_handler(None, 0)
        return taken

    Entry.objects.bulk_create(Entry(board=harbour.here, label=str(number)) for number in range(500))
    with_capture = steps()
    capture.uninstall()
    try:
        without = steps()
    finally:
        capture.install()

    assert with_capture <= STEPS_RATIO * without


# ---------------------------------------------------------------- writes that are not committed


def test_a_rolled_back_transaction_leaves_no_note(harbour, images):
    """Capture and change are committed together or not at all."""
    before = position_now()

    with contextlib.suppress(ZeroDivisionError), transaction.atomic():
        harbour.here.entries.update(label="never")
        Entry.objects.create(board=harbour.here, label="never")
        raise ZeroDivisionError

    assert images(Entry) == []
    assert position_now() == before


def test_a_rolled_back_savepoint_leaves_no_note(harbour, images):
    """The writes around it are noted."""
    with transaction.atomic():
        harbour.one.save()
        with contextlib.suppress(ZeroDivisionError), transaction.atomic():
            harbour.two.save()
            raise ZeroDivisionError

    assert set(images(Entry)) == {(harbour.one.pk, harbour.here.pk)}


def test_a_refused_statement_leaves_no_note(harbour, images):
    """A statement that fails half-way undoes its triggers' notes together with its rows."""
    with pytest.raises(IntegrityError):
        Entry.objects.bulk_create(
            [Entry(board=harbour.here, label="fine"), Entry(pk=harbour.one.pk, board=harbour.here)]
        )

    assert images(Entry) == []


def test_the_rollback_of_another_program_leaves_no_note(harbour, images):
    """Nor does a connection that is closed inside its transaction."""
    with harbour.plain() as plain:
        plain.execute("BEGIN IMMEDIATE")
        plain.execute("DELETE FROM boards_entry")
        plain.execute("ROLLBACK")
        plain.execute("BEGIN IMMEDIATE")
        plain.execute("DELETE FROM boards_entry")

    assert images(Entry) == []
    assert harbour.here.entries.count() == 2


def test_ids_of_the_outbox_are_never_reused(harbour, log):
    """Positions count them: they continue where they were after all rows were pruned."""
    harbour.one.save()
    highest = OutboxRow.objects.latest("id").id
    log.sequence()
    OutboxRow.objects.all().delete()

    harbour.one.save()

    assert OutboxRow.objects.latest("id").id > highest


# ---------------------------------------------------------------- definitions


def test_each_event_has_a_trigger_of_its_own(log):
    """Named after what it does, so that another definition has another name."""
    triggers = SQLiteTriggers(connection)

    narrow = triggers.statements(Capture("boards_entry", ("id",), (("id",),)))
    wide = triggers.statements(Capture("boards_entry", ("id", "board_id"), (("id",),)))

    assert {name.rpartition("_")[2] for name in narrow} == {"insert", "update", "delete", "replace"}
    assert not set(narrow) & set(wide)


def test_only_triggers_of_the_engine_are_listed(log):
    """A project may have triggers whose names begin with realtime_ too."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TRIGGER realtime_of_the_project AFTER INSERT ON boards_entry BEGIN SELECT 1; END"
        )
    try:
        installed = SQLiteTriggers(connection).installed()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER realtime_of_the_project")

    assert {trigger.table for trigger in installed} == DEMO_TABLES
    assert "realtime_of_the_project" not in {trigger.name for trigger in installed}


def test_a_dropped_trigger_is_not_listed(log):
    """Dropping it again is no error."""
    triggers = SQLiteTriggers(connection)
    with transaction.atomic():
        trigger = triggers.installed()[0]
        triggers.drop(trigger)
        triggers.drop(trigger)
        assert trigger not in triggers.installed()
        transaction.set_rollback(True)

    assert trigger in triggers.installed()
