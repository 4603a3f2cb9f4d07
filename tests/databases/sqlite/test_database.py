"""SQLite's snapshots; tests/contract has what every database must do."""

import pytest
from django.db import connection, transaction

from realtime.databases.outbox import OutboxCursor
from realtime.databases.sqlite import database as sqlite
from realtime.databases.sqlite.database import SQLite
from realtime.models import OutboxRow


@pytest.fixture
def here(log) -> SQLite:
    return SQLite(connection)


def test_a_snapshot_is_the_number_of_outbox_rows_ever_written(here, log):
    """Also when some have been deleted."""
    (before, epoch) = here.snapshot()
    OutboxRow.objects.create(source="a table", image=None)
    OutboxRow.objects.all().delete()

    assert here.snapshot() == (OutboxCursor(before.next + 1), epoch)
    assert epoch == log.state.epoch


def test_a_transaction_of_any_kind_is_noticed(here):
    """Django's, and one that a statement has begun."""
    assert not here.is_in_transaction()
    with transaction.atomic():
        assert here.is_in_transaction()
    with here.read_transaction():
        assert here.is_in_transaction()
    assert not here.is_in_transaction()


def test_the_boot_of_the_machine_and_the_file_are_the_origin(here, monkeypatch, tmp_path):
    """It is the same for all processes until the next boot, or until another file has the name."""
    (tmp_path / "boot_id").write_text("one boot\n")
    monkeypatch.setattr(sqlite, "_BOOT_ID", tmp_path / "boot_id")

    assert here.origin() == f"one boot.{here.file_identity()}"


def test_a_system_without_a_boot_id_has_only_the_file_as_origin(here, monkeypatch, tmp_path):
    """Only Linux has one; elsewhere the operator must begin a new log after a power failure."""
    monkeypatch.setattr(sqlite, "_BOOT_ID", tmp_path / "absent")

    assert here.origin() == f".{here.file_identity()}"


def test_another_file_of_the_same_name_has_another_identity(here, monkeypatch, tmp_path):
    """A database in memory has none."""
    with monkeypatch.context() as patch:
        patch.setitem(here.connection.settings_dict, "NAME", tmp_path / "name")
        assert here.file_identity() == ""
        (tmp_path / "name").touch()
        before = here.file_identity()
        (tmp_path / "other").touch()
        (tmp_path / "other").rename(tmp_path / "name")

        assert here.file_identity() != before


def test_every_table_has_the_number_of_the_schema_as_its_state(here):
    """It counts every change of the schema, also of a trigger that is dropped and created again."""
    before = here.table_states(["boards_entry", "no_such_table"])

    with here.connection.cursor() as cursor:
        cursor.execute("CREATE TABLE another (id integer)")
        cursor.execute("DROP TABLE another")

    after = here.table_states(["boards_entry"])
    assert list(before) == ["boards_entry"]
    assert before["boards_entry"].table != after["boards_entry"].table == here.common_state()
    assert set(after["boards_entry"].triggers.values()) == {here.common_state()}
    assert before["boards_entry"].triggers.keys() == after["boards_entry"].triggers.keys()


def test_writers_keep_no_index_of_transaction_numbers(here):
    """There are none here, and each row that a trigger writes would be tried against its condition."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pragma_index_list('realtime_outboxrow')")
        assert cursor.fetchall() == []
