"""Which readings are stored, and which are removed."""

from datetime import timedelta

import pytest
from django.utils import timezone

from realtime import schedule
from realtime.boards.charts import recording
from realtime.boards.models import Board, Entry, Reading
from realtime.changes import Change


def note(entry, op="upsert"):
    recording.note(Change(op, f"allentries.{entry.board_id}", str(entry.pk), None, "e.1", False))


def values():
    return [*Reading.objects.order_by("pk").values_list("value", flat=True)]


def test_each_new_number_is_a_reading_by_any_writer(board, entry):
    """A value that stays the same, or is not a number, is not a reading."""
    for value in ["10", "10", "10.0", "06:40", "11", "10"]:
        Entry.objects.update(value=value)
        note(entry)

    assert values() == [10, 11, 10]


def test_boards_without_charts_have_no_readings(board, entry):
    Board.objects.update(chart_days=0)
    Entry.objects.update(value="10")

    note(entry)
    note(entry, "reset")

    assert values() == []


def test_a_deleted_entry_has_no_new_reading(board, entry):
    key = Entry.objects.get().pk
    Entry.objects.all().delete()

    note(Entry(pk=key, board=board), "delete")

    assert values() == []


@pytest.mark.parametrize("kind", ["old", "many", "gone", "off"])
def test_readings_are_limited(board, entry, monkeypatch, kind):
    """By age, by number, to entries that exist, and to boards that have charts; the job removes the others."""
    monkeypatch.setattr(recording, "KEPT", 3)
    now = timezone.now()
    days = 31 if kind == "old" else 0
    key = entry.pk + 1 if kind == "gone" else entry.pk
    Reading.objects.create(entry=key, value=0, at=now - timedelta(days=days, minutes=9))
    for value in range(1, 4 if kind == "many" else 3):
        Reading.objects.create(entry=entry.pk, value=value, at=now - timedelta(minutes=9 - value))
    if kind == "off":
        Board.objects.update(chart_days=0)

    job = schedule.jobs["realtime.boards.jobs.old_readings"]
    job.function()
    job.function()

    assert values() == {"old": [1, 2], "many": [1, 2, 3], "gone": [1, 2], "off": []}[kind]
    assert job.seconds == 600
