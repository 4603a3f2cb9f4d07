"""Capture: every way to write a row is noted in the outbox, with its commit or not at all."""

import contextlib
import json
import sqlite3
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, models, transaction

from realtime.boards.models import Board, Entry
from realtime.checks import check_capture
from realtime.databases.registry import database
from realtime.feeds import registry
from realtime.models import LogEntry, OutboxRow
from realtime.publishing import capture, positions

Images = set[tuple[int, int]]


@dataclass
class Harbour:
    """Two boards; the first has two entries."""

    here: Board
    there: Board
    one: Entry
    two: Entry
    folder: Path

    def plain(self) -> contextlib.closing[sqlite3.Connection]:
        """Return a connection of another program's: no Django, no foreign keys."""
        path = connection.settings_dict["NAME"]
        return contextlib.closing(sqlite3.connect(path, timeout=10, isolation_level=None))


@pytest.fixture
def harbour(log, tmp_path) -> Harbour:
    here, there = (Board.objects.create(slug=slug, title=slug) for slug in ("here", "there"))
    one, two = (Entry.objects.create(board=here, label=label) for label in ("one", "two"))
    log.sequence()
    return Harbour(here, there, one, two, tmp_path)


# ---------------------------------------------------------------- every writer
# Each writes and returns the (entry, board) images that must be noted, no others.


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
    # The row in the way is noted too, where it is: harmless.
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
    return {(harbour.one.pk, harbour.here.pk)}  # where it is and stays: harmless


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
def test_whoever_writes_is_noted(harbour, images, write):
    """Old and new key and board of every touched row are in the outbox, and of no other row."""
    expected = write(harbour)

    assert set(images(Entry)) == expected


def test_a_row_pushed_out_by_a_unique_column_is_noted(harbour, images):
    """INSERT OR REPLACE fires no delete trigger for the row whose slug the new one takes."""
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
def test_a_row_pushed_out_by_a_constraint_is_noted(log, live, make_model, images, constraint):
    """Whatever unique columns push a row out, its old topic hears of it; docs/feeds.md says which cannot."""
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


# ---------------------------------------------------------------- what did not happen


def test_a_rolled_back_transaction_leaves_no_note(harbour, images):
    """Capture and change commit together or not at all."""
    before = positions.position_now()

    with contextlib.suppress(ZeroDivisionError), transaction.atomic():
        harbour.here.entries.update(label="never")
        Entry.objects.create(board=harbour.here, label="never")
        raise ZeroDivisionError

    assert images(Entry) == []
    assert positions.position_now() == before


def test_of_a_rolled_back_savepoint_nothing_is_noted(harbour, images):
    """What surrounds it is."""
    with transaction.atomic():
        harbour.one.save()
        with contextlib.suppress(ZeroDivisionError), transaction.atomic():
            harbour.two.save()
            raise ZeroDivisionError

    assert set(images(Entry)) == {(harbour.one.pk, harbour.here.pk)}


def test_a_refused_statement_leaves_no_note(harbour, images):
    """A statement that fails half-way undoes its triggers' notes with its rows."""
    with pytest.raises(IntegrityError):
        Entry.objects.bulk_create(
            [Entry(board=harbour.here, label="fine"), Entry(pk=harbour.one.pk, board=harbour.here)]
        )

    assert images(Entry) == []


def test_another_programs_rollback_leaves_no_note(harbour, images):
    """Nor does a connection that goes away in the middle of its transaction."""
    with harbour.plain() as plain:
        plain.execute("BEGIN IMMEDIATE")
        plain.execute("DELETE FROM boards_entry")
        plain.execute("ROLLBACK")
        plain.execute("BEGIN IMMEDIATE")
        plain.execute("DELETE FROM boards_entry")

    assert images(Entry) == []
    assert harbour.here.entries.count() == 2


def test_ids_of_the_outbox_are_never_used_twice(harbour, log):
    """Positions count them: after everything was pruned they go on from where they were."""
    harbour.one.save()
    highest = OutboxRow.objects.latest("id").id
    log.sequence()
    OutboxRow.objects.all().delete()

    harbour.one.save()

    assert OutboxRow.objects.latest("id").id > highest


# ---------------------------------------------------------------- install, missing, uninstall


def trigger_names() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        return {name for (name,) in cursor.fetchall()}


@pytest.fixture
def uninstalled(log):
    capture.uninstall()
    yield
    capture.install()


def test_installing_twice_is_installing_once(log, images):
    """The second does nothing: no table lock, no reset."""
    names = trigger_names()

    assert capture.install() == []
    assert trigger_names() == names
    assert images(Entry) == []


def test_uninstalling_leaves_only_what_is_not_ours(uninstalled):
    """And may be repeated; without triggers every live table is missing its own."""
    capture.uninstall()

    assert not [name for name in trigger_names() if name.startswith("realtime_")]
    assert {missing.table for missing in capture.missing()} == {"boards_board", "boards_entry"}


def test_some_tables_alone_can_be_uninstalled(log):
    """The other tables' triggers stay."""
    capture.uninstall(["boards_entry"])

    assert {missing.table for missing in capture.missing()} == {"boards_entry"}
    assert {installed.table for installed in capture.install()} == {"boards_entry"}


def test_an_installation_is_followed_by_a_reset(uninstalled, quay, log, images):
    """What was written while the triggers were away is found by reading the table anew."""
    Entry.objects.create(board=quay, label="unseen")

    capture.install()

    assert images(Entry) == [None]
    assert log.take() == dict.fromkeys(("entries", "board", "boards", "staffboards"), "reset")


def test_one_lost_trigger_is_missed(log):
    """All of a table's triggers are looked for, by names that change with what they do."""
    name = next(name for name in trigger_names() if name.endswith("_delete"))
    with connection.cursor() as cursor:
        cursor.execute(f'DROP TRIGGER "{name}"')

    assert len(capture.missing()) == 1
    capture.install()
    assert capture.missing() == []


def test_a_trigger_of_an_older_definition_is_replaced(log, make_model, live):
    """A feed that got a topic field notes that column from the next start on; the old triggers are gone."""
    things = make_model("Thing", shelf=models.IntegerField())
    live(things, name="things")
    before = trigger_names()

    live(things, name="things_by_shelf", topic_field="shelf")

    assert len(trigger_names()) == len(before)
    assert capture.missing() == []
    assert [one.columns for one in capture.captures(registry) if one.table == "throwaway_thing"] == [
        ("id", "shelf")
    ]


def test_triggers_of_a_table_that_is_no_longer_live_are_dropped(log, make_model, live):
    """A write there costs nothing any more."""
    live(make_model("Thing"), name="things")
    registry.remove("things")

    capture.install()

    assert "throwaway_thing" not in database().triggers.installed().values()


def test_a_remade_table_has_lost_its_triggers(log, make_model, live):
    """So is any table that Django alters on SQLite: that is why migrations end with an installation."""
    things = make_model("Thing", name=models.CharField(max_length=10))
    live(things, name="things")
    wider = models.CharField(max_length=20)
    wider.set_attributes_from_name("name")
    wider.model = things

    with connection.schema_editor() as editor:
        editor.alter_field(things, things._meta.get_field("name"), wider)

    assert [missing.table for missing in capture.missing()] == ["throwaway_thing"]


@pytest.mark.parametrize("column", ["group", "a b", "sélection d'été", "a__b", "Größe", "x.y", "0"])
def test_any_column_name_can_be_captured(log, make_model, live, column):
    """Names are quoted, and the column's own, not the field's."""
    things = make_model("Thing", shelf=models.IntegerField(db_column=column))
    live(things, name="things", topic_field="shelf")

    key = str(things.objects.create(shelf=5).pk)

    assert log.take() == {"things.5": [("upsert", key)]}


# ---------------------------------------------------------------- who is told


def test_a_check_warns_of_missing_triggers(uninstalled):
    """A warning, with its cure: an error would block the migrate that cures it."""
    warnings = check_capture(databases=["default"])

    assert {warning.id for warning in warnings} == {"realtime.W001"}
    assert {warning.is_serious() for warning in warnings} == {False}
    assert sorted("boards_entry" in warning.msg for warning in warnings) == [False, True]
    assert "migrate" in warnings[0].hint


@pytest.mark.parametrize("databases", [None, [], ["other"]])
def test_the_check_reads_only_databases_it_is_asked_about(uninstalled, databases):
    """Plain ``check`` touches none."""
    assert check_capture(databases=databases) == []


def test_the_check_is_silent_when_all_is_well(log):
    """Which is what ``check --database default`` prints."""
    assert check_capture(databases=["default"]) == []


def doctor() -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("doctor", stdout=out)
    except SystemExit as error:
        return int(error.code or 0), out.getvalue()
    return 0, out.getvalue()


@pytest.fixture
def published(log):
    """A log that somebody publishes."""
    from realtime.publishing import lease

    assert lease.acquire("somebody")
    return log


def test_the_doctor_says_that_all_is_well(published):
    """With triggers, a log and a publisher."""
    status, words = doctor()

    assert (status, words.splitlines()[-1]) == (0, "all is well")
    assert "BAD" not in words


def test_the_doctor_names_a_table_without_triggers(published, uninstalled):
    """And exits with 1, for scripts."""
    status, words = doctor()

    assert status == 1
    assert "BAD  feed entries: triggers on boards_entry are missing" in words


def test_the_doctor_misses_a_publisher(log):
    """Changes wait until one starts."""
    status, words = doctor()

    assert status == 1
    assert "publisher: none is running" in words


def test_the_doctor_survives_an_empty_database(published, monkeypatch):
    """An empty log is reported, not raised."""
    published.state.delete()

    status, words = doctor()

    assert status == 1
    assert "log: empty, nothing has been published yet" in words
    assert not LogEntry.objects.exists()
