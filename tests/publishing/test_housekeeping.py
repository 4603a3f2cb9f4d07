"""Housekeeping: repairs what stays missing, with patience, and notices what triggers do not report."""

import contextlib
import sqlite3
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from django.db import OperationalError, connection, connections

from realtime.models import OutboxRow, Sequencer
from realtime.publishing import capture, housekeeping, lease, log, positions, progress, write_pauses
from realtime.publishing.housekeeping import Housekeeping, Repair
from realtime.publishing.sequencer import sequence
from realtime.runtime import threads
from tests.delivery.conftest import Broken


@pytest.fixture
def chores(log, monkeypatch) -> Housekeeping:
    """Housekeeping of the leader that does not wait between turns, in which everything is due."""
    chores = Housekeeping("one")
    chores.stop()
    monkeypatch.setattr(housekeeping, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(housekeeping, "LEADERS_PAUSE_SECONDS", 0.0)
    chores.turn()
    OutboxRow.objects.all().delete()
    return chores


def test_the_first_turn_makes_one_process_the_leader(chores):
    """A second one asks and is refused."""
    second = Housekeeping("two")
    second.stop()
    second.turn()

    assert chores.is_leader
    assert second.has_asked_for_lease
    assert not second.is_leader


def test_missing_triggers_are_installed_at_the_second_look(chores, images):
    """Another process may be about to do so; afterwards the table is read again."""
    capture.uninstall(["boards_entry"])

    chores.turn()
    assert capture.missing()
    chores.turn()

    assert capture.missing() == []
    assert list(OutboxRow.objects.filter(image__isnull=True).values_list("source", flat=True)) == [
        "boards_entry"
    ]


def test_triggers_are_left_alone_while_a_migration_is_under_way(chores):
    """It has dropped them, and installs them at its end."""
    capture.uninstall(["boards_entry"])
    progress.pause_capture(capture.CLAIM_TIME)

    for _ in range(3):
        chores.turn()
    assert capture.missing()

    progress.pause_capture(None)
    for _ in range(2):
        chores.turn()
    assert capture.missing() == []


def test_a_repair_that_fails_is_tried_again_after_growing_pauses():
    """Each attempt makes the table's writers wait."""
    repair = Repair(now=0, pause=1)
    due = [repair.due_at]
    for _ in range(7):
        repair.put_off(repair.due_at)
        due.append(repair.due_at)

    assert [later - earlier for earlier, later in pairwise(due)] == [
        2,
        4,
        8,
        16,
        30,
        30,
        30,
    ]


def test_pruning_leaves_other_programs_time_to_write(chores, quay, monkeypatch):
    """SQLite's lock is free in its pauses, however much there is to delete."""
    written: list[int] = []

    def write(seconds: float) -> None:
        with contextlib.closing(sqlite3.connect(connection.settings_dict["NAME"], timeout=0)) as other:
            written.append(other.execute("UPDATE boards_board SET title = 'other'").rowcount)
            other.commit()

    monkeypatch.setattr(write_pauses, "BUSY_SECONDS", 0.0)
    monkeypatch.setattr(log, "PRUNE_ROWS", 1)
    monkeypatch.setattr(chores, "_write_pauses", write_pauses.WritePauses(sleep=write))
    OutboxRow.objects.bulk_create(OutboxRow(source="boards_entry", image="{}") for _ in range(3))
    sequence(positions.probe())

    for _ in range(3):
        chores._prune_due = 0.0
        chores.turn()

    assert written == [1, 1, 1]


def test_only_the_leader_prunes(chores, monkeypatch):
    """In steps, so that the lease is renewed meanwhile."""
    prune_step = Mock(return_value=False)
    monkeypatch.setattr("realtime.publishing.log.prune_step", prune_step)
    chores._prune_due = 0.0
    second = Housekeeping("two")
    second.stop()

    chores.turn()
    second.turn()

    prune_step.assert_called_once()


def resets() -> set[str]:
    return set(OutboxRow.objects.filter(image__isnull=True).values_list("source", flat=True))


def add_a_column() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE boards_entry ADD COLUMN more integer")
        cursor.execute("ALTER TABLE boards_entry DROP COLUMN more")


def test_a_process_that_becomes_the_leader_looks_at_once(chores, monkeypatch):
    """The former one may have died before it looked."""
    monkeypatch.setattr(housekeeping, "LOOK_SECONDS", 1000.0)
    second = Housekeeping("two")
    second.stop()
    second.turn()
    add_a_column()
    second.turn()
    assert resets() == set()

    lease.release("one")
    second._lease_due = 0.0
    second.turn()
    second.turn()

    assert second.is_leader
    assert "boards_entry" in resets()


def test_what_no_trigger_notes_is_noticed_within_two_seconds(log, monkeypatch):
    """With the pauses that a process has, by its clock: an exchanged table, and triggers that were dropped."""
    now = 1000.0
    monkeypatch.setattr(housekeeping, "time", SimpleNamespace(monotonic=lambda: now))
    chores = Housekeeping("one")
    chores.stop()
    chores.turn()

    for change in (add_a_column, lambda: capture.uninstall(["boards_entry"])):
        OutboxRow.objects.all().delete()
        change()
        for _ in range(8):
            now += 0.25
            chores.turn()

        assert "boards_entry" in resets()
        assert capture.missing() == []


def test_after_an_error_all_is_examined_at_once(chores, monkeypatch):
    """The database may be another one when it is back."""
    monkeypatch.setattr(housekeeping, "LOOK_SECONDS", 1000.0)
    chores.turn()
    broken = Broken(OperationalError("the server is gone"))
    monkeypatch.setattr(lease, "acquire", broken.wrap(lease.acquire))
    chores._lease_due = 0.0
    with pytest.raises(OperationalError):
        chores.turn()
    add_a_column()
    broken.error = None

    chores.turn()

    assert "boards_entry" in resets()


def copied(file: Path, to: Path) -> Path:
    with contextlib.closing(sqlite3.connect(file)) as plain:
        plain.execute(f"VACUUM INTO '{to}'")
    return to


@pytest.fixture
def file(chores, tmp_path) -> Iterator[Path]:
    """A database file of this test's own: connections of other tests must not have it open."""
    original = Path(connection.settings_dict["NAME"])
    connections.close_all()
    with pytest.MonkeyPatch.context() as patch:  # ends before the database of all tests is restored
        patch.setitem(connection.settings_dict, "NAME", str(copied(original, tmp_path / "own.sqlite3")))
        chores.turn()
        yield Path(connection.settings_dict["NAME"])
        connections.close_all()


@pytest.mark.parametrize("way", ["renamed", "removed and written anew", "linked"])
def test_a_file_that_takes_the_place_of_the_databases_begins_a_new_epoch(chores, file, tmp_path, way):
    """Every thread opens its connections again: the former file is still open in them."""
    before, generation = Sequencer.objects.get(pk=1).epoch, threads._generation
    other = copied(file, tmp_path / "other.sqlite3")
    for part in file.parent.glob(f"{file.name}*"):  # with its -wal and -shm
        part.unlink()
    if way == "renamed":
        other.rename(file)
    elif way == "linked":
        file.symlink_to(other)
    else:
        copied(other, file)

    chores.turn()

    assert Sequencer.objects.get(pk=1).epoch != before
    assert threads._generation == generation + 1
    assert capture.missing() == []
