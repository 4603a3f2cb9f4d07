"""Entries that are shown by time: written by a job, correctly after any pause, and the same for every writer."""

import gc
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from realtime import schedule
from realtime.boards import due
from realtime.boards.models import Board, Entry, Sorting
from realtime.changes import Change
from realtime.feeds import registry
from realtime.publishing.positions import read_topic

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _from_the_start():
    due.sweep.after = 0


@pytest.fixture
def clock(monkeypatch):
    """Sets the time that entries and the job see."""

    def set_to(moment):
        monkeypatch.setattr(timezone, "now", lambda: moment)
        return moment

    return set_to


def label_of(row: Any) -> Any:
    return json.loads(bytes(row.row))["label"]


def shown(board):
    return [entry.label for entry in registry["entries"].topic_rows(board.pk)]


def test_the_job_is_scheduled():
    assert schedule.jobs["realtime.boards.jobs.due_entries"].seconds == 2


def test_an_entry_comes_and_goes_by_time(board, clock):
    """The job writes it once at each of these times, and reads nothing in between."""
    now = clock(datetime(2026, 11, 26, 8, tzinfo=UTC))
    board.entries.create(label="Ferry", shows_from=now + HOUR, shows_until=now + 2 * HOUR)
    board.entries.create(label="Always")

    seen = []
    for hours in (0, 0.99, 1, 1.99, 2, 48):
        clock(now + hours * HOUR)
        seen.append((due.write_due(), "Ferry" in shown(board), due.write_due()))

    assert seen == [(0, False, 0), (0, False, 0), (1, True, 0), (0, True, 0), (1, False, 0), (0, False, 0)]
    assert "Always" in shown(board)


def test_after_a_long_pause_the_job_writes_what_is_so_now(board, clock):
    """A process that was down for days does not show what has begun and ended meanwhile."""
    now = clock(datetime(2026, 11, 26, 8, tzinfo=UTC))
    board.entries.create(label="Over", shows_from=now + HOUR, shows_until=now + 2 * HOUR)
    board.entries.create(label="Begun", shows_from=now + 3 * HOUR)

    clock(now + 90 * HOUR)
    due.write_due()

    assert shown(board) == ["Begun"]
    assert not Entry.objects.filter(next_change__isnull=False).exists()


def test_only_entries_whose_time_has_come_are_looked_at(board, clock, django_assert_num_queries):
    """By an index, whatever number of others there is."""
    now = clock(datetime(2026, 11, 26, 8, tzinfo=UTC))
    for number in range(3):
        board.entries.create(label=f"Later {number}", shows_from=now + HOUR)
        board.entries.create(label=f"Over {number}", shows_until=now - HOUR)

    with django_assert_num_queries(9) as queries:
        assert due.write_due() == 0

    with connection.cursor() as cursor:
        plans = []
        for query in queries.captured_queries:
            cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
            plans += [row[3] for row in cursor.fetchall()]
    assert any("boards_entry_next_change" in plan for plan in plans), plans
    assert any("boards_entry_unseen" in plan for plan in plans), plans


@pytest.mark.parametrize("minutes, is_shown", [(9, True), (10, False)])
def test_an_entry_disappears_minutes_after_its_time(clock, db, minutes, is_shown):
    """By the board's setting, which may change while the entry is shown."""
    board = Board.objects.create(slug="quay", title="The quay", hides_after=10)
    now = clock(datetime(2026, 11, 26, 8, tzinfo=UTC))
    board.entries.create(label="Ferry", at=now)

    clock(now + timedelta(minutes=minutes))
    due.write_due()
    assert shown(board) == ["Ferry"] * is_shown
    board.hides_after = None
    board.save()
    due.write_due()

    assert shown(board) == ["Ferry"]


def test_a_day_of_the_week_begins_in_the_zone_of_the_board(board, clock):
    """Thursday in Kathmandu begins while it is Wednesday in Greenwich; another zone counts at once."""
    clock(datetime(2026, 11, 24, 12, tzinfo=UTC))
    board.entries.create(label="Market", weekdays="4")
    board.time_zone = "Asia/Kathmandu"
    board.save()

    clock(datetime(2026, 11, 25, 18, 14, tzinfo=UTC))
    due.write_due()
    assert shown(board) == []
    clock(datetime(2026, 11, 25, 18, 15, tzinfo=UTC))
    due.write_due()
    assert shown(board) == ["Market"]
    board.time_zone = ""
    board.save(update_fields=["time_zone"])
    due.write_due()
    assert shown(board) == []


def insert(board, columns):
    names, values = zip(*columns.items(), strict=True)
    marks = ", ".join(["%s"] * len(values))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO boards_entry (board_id, label, {', '.join(names)}) VALUES (%s, 'Ferry', {marks})",
            [board.pk, *values],
        )


@pytest.mark.parametrize(
    "columns, before, after",
    [
        ({"value": "1"}, True, True),
        ({"shows_from": "2026-11-26 09:00:00"}, False, False),
        ({"shows_from": "2026-11-26 07:00:00"}, False, True),
        ({"weekdays": "1"}, False, False),
        ({"weekdays": "4"}, False, True),
        ({"shows_until": "2026-11-26 07:00:00"}, True, False),
        ({"at": "2026-11-26 07:00:00"}, True, True),
    ],
    ids=str,
)
def test_what_sql_inserts_is_never_shown_before_its_time(board, clock, columns, before, after):
    """Not even for a moment; the job finds it without a notification."""
    clock(datetime(2026, 11, 26, 8, tzinfo=UTC))
    insert(board, columns)

    assert shown(board) == ["Ferry"] * before
    due.write_due()
    assert shown(board) == ["Ferry"] * after
    assert due.write_due() == 0


def test_entries_that_sql_changes_are_checked(board, clock):
    """Where there is a history, as any change is; the second call finds nothing to write."""
    now = clock(datetime(2026, 11, 26, 8, tzinfo=UTC))
    entry = board.entries.create(label="Ferry", shows_until=now - HOUR)
    Entry.objects.filter(pk=entry.pk).update(shows_until=now + HOUR)

    def noted():
        values = {name: getattr(Entry.objects.get(), name) for name in due.TIMES}
        due.renew_entry(Change("upsert", f"allentries.{board.pk}", str(entry.pk), values, "e.1"))

    noted()

    assert shown(board) == ["Ferry"]
    before = Entry.objects.values().get()
    noted()
    assert Entry.objects.values().get() == before


def test_without_a_history_what_sql_changes_is_found_in_turn(board, clock, monkeypatch):
    """Some entries at a time, so that the job costs the same however many there are."""
    monkeypatch.setattr(due, "BATCH", 2)
    now = clock(datetime(2026, 11, 26, 8, tzinfo=UTC))
    for number in range(5):
        board.entries.create(label=f"Ferry {number}", shows_until=now + HOUR)
    Entry.objects.update(shows_until=now - HOUR)

    counts = []
    for _ in range(4):
        due.write_due()
        counts.append(len(shown(board)))

    assert counts == [3, 1, 0, 0]


def test_an_entry_that_cannot_be_read_keeps_no_other_from_its_time(board, clock, caplog):
    """It is hidden, and named in the log."""
    now = clock(datetime(2026, 11, 26, 8, tzinfo=UTC))
    bad = board.entries.create(label="Bad", shows_from=now + HOUR)
    board.entries.create(label="Good", shows_from=now + HOUR)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE boards_entry SET shows_from = '2026-99-26 09:00:00' WHERE id = %s", [bad.pk])

    clock(now + HOUR)
    due.write_due()

    assert shown(board) == ["Good"]
    assert f"entry {bad.pk} is hidden" in caplog.text
    assert due.write_due() == 0


@pytest.mark.combinations("sorting", "column", "is_seen")
@pytest.mark.parametrize("sorting", Sorting)
@pytest.mark.parametrize("column", ["at", "shows_from", "shows_until"])
@pytest.mark.parametrize("is_seen", [True, False])
def test_a_time_that_cannot_be_read_stops_no_board(db, clock, caplog, sorting, column, is_seen):
    """In whatever order its board is, by whatever way it is found; it is hidden and logged once."""
    now = clock(datetime(2026, 11, 26, 8, tzinfo=UTC))
    boards = [Board.objects.create(slug=f"b{number}", title="B", sorting=sorting) for number in range(2)]
    bad = boards[0].entries.create(
        label="Bad", **{column: now - HOUR if column != "shows_until" else now + HOUR}
    )
    for board in boards:
        board.entries.create(label="Good", shows_from=now + HOUR, status="critical")
    with connection.cursor() as cursor:
        unseen = "" if is_seen else ", is_due = NULL, rank = 0"
        cursor.execute(
            f"UPDATE boards_entry SET {column} = '2026-13-45 10:00:00'{unseen} WHERE id = %s", [bad.pk]
        )

    clock(now + HOUR)
    due.write_due()

    assert [shown(board) for board in boards] == [["Good"], ["Good"]]
    for _ in range(2):
        due.write_due()
    assert caplog.text.count(f"entry {bad.pk} is hidden") == 1


def test_entries_that_are_in_their_place_are_not_read(db, clock, django_assert_num_queries):
    """The database compares ranks; it returns entries that are elsewhere only."""
    now = clock(datetime(2026, 11, 26, 8, tzinfo=UTC))
    for sorting in Sorting:
        board = Board.objects.create(slug=sorting or "hand", title="B", sorting=sorting)
        for status in ["", "ok", "critical", "unknown"]:
            board.entries.create(label="Timeless", status=status)
            board.entries.create(label="Timed", status=status, at=now)
            board.entries.create(label="Before computers", status=status, at=datetime(1950, 1, 1, tzinfo=UTC))

    assert [[*entries] for entries in due.misplaced()] == [[], [], []]
    assert due.write_due() == 0


def test_an_entry_at_the_end_of_time_is_no_error(board, clock):
    clock(datetime(2026, 11, 26, 8, tzinfo=UTC))
    board.time_zone = "Asia/Kathmandu"
    board.save()
    insert(board, {"shows_until": "9999-12-31 23:59:59", "weekdays": "4"})

    due.write_due()

    assert shown(board) == ["Ferry"]


def test_a_board_is_sorted_as_its_editor_has_chosen(board, clock):
    """By hand, by time with those without one last, or the worst first; equal ones stay in their order."""
    now = clock(datetime(2026, 11, 26, 8, tzinfo=UTC))
    for position, (label, hours, status) in enumerate(
        [("a", None, "ok"), ("b", 3, "critical"), ("c", 1, ""), ("d", 2, "warning"), ("e", 2, "critical")]
    ):
        at = hours and now + hours * HOUR
        board.entries.create(label=label, at=at, status=status, position=position)

    orders = {}
    for sorting in [*Sorting, Sorting.HAND]:
        Board.objects.update(sorting=sorting)
        due.write_due()
        orders[sorting.value] = "".join(shown(board))
        in_the_page = sorted(read_topic(f"entries.{board.pk}").rows, key=lambda row: row.order)
        assert [label_of(row) for row in in_the_page] == [*orders[sorting.value]]

    assert orders == {"": "abcde", "time": "cdeba", "status": "bedac"}


def test_saving_one_field_writes_no_time(board, clock, django_assert_num_queries):
    """A change that does not affect times writes no other column."""
    entry = board.entries.create(label="Ferry")

    with django_assert_num_queries(1):
        entry.save(update_fields=["label"])


def test_an_entry_whose_board_is_gone_keeps_no_other_from_its_time(board, clock):
    """Programs that do not ask SQLite to check foreign keys can delete a board alone."""
    now = clock(datetime(2026, 11, 26, 8, tzinfo=UTC))
    lost = Board.objects.create(slug="lost", title="Lost")
    lost.entries.create(label="Lost", shows_from=now + HOUR)
    board.entries.create(label="Begun", shows_from=now + HOUR)
    with connection.constraint_checks_disabled():
        Board.objects.filter(pk=lost.pk)._raw_delete("default")
        clock(now + 2 * HOUR)

        due.write_due()

        assert shown(board) == ["Begun"]
        Entry.objects.filter(label="Lost").delete()


def test_the_job_leaves_nothing_for_the_garbage_collector(board):
    """It runs every few seconds for as long as the server does."""
    board.statuses.create(word="Boarding")
    board.entries.create(label="Gate 12", status="boarding")

    def in_memory():
        return sum(isinstance(each, Board | Entry) for each in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = in_memory()
        due.write_due()
        after = in_memory()
    finally:
        gc.enable()

    assert after == before


def test_a_page_shows_a_time_by_the_clock_of_its_board(board, client):
    """The date and the time, complete without a script, which says how soon it is."""
    board.time_zone = "Europe/Oslo"
    board.save()
    board.entries.create(label="Ferry", at=datetime(2026, 10, 25, 1, 30, tzinfo=UTC))

    html = client.get(board.get_absolute_url()).content.decode()

    assert 'datetime="2026-10-25T02:30:00+01:00" data-zone="Europe/Oslo"' in html
    assert ">Sun 25 Oct 02:30</time>" in html
