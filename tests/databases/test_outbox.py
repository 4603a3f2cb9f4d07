"""Cursors on the outbox: two snapshots say which rows are new, and in which order snapshots are."""

import pytest

from realtime.databases.outbox import OUTBOX_TABLE, OutboxCursor
from realtime.databases.postgresql import database as postgresql
from realtime.models import (
    Instruction,
    Interest,
    LogEntry,
    OutboxRow,
    Process,
    ProcessReport,
    Sequencer,
    Ticket,
)


@pytest.fixture
def written(log):
    """Outbox rows 1 to 9 by their stamp, the id on SQLite."""
    OutboxRow.objects.all().delete()
    OutboxRow.objects.bulk_create(OutboxRow(id=stamp, source="a table") for stamp in range(1, 10))


@pytest.mark.parametrize(
    "earlier, later",
    [
        (OutboxCursor(5), OutboxCursor(6)),
        (OutboxCursor(5, (3, 4)), OutboxCursor(5, (3,))),
        (OutboxCursor(5, (4,)), OutboxCursor(7, (4, 6))),
    ],
    ids=["a new transaction", "a late commit", "both"],
)
def test_a_snapshot_that_sees_more_has_a_larger_offset(earlier, later):
    """So offsets order snapshots."""
    assert earlier.offset < later.offset


@pytest.mark.parametrize(
    "since, until, missing",
    [
        (OutboxCursor(5), OutboxCursor(5), []),
        (OutboxCursor(5), OutboxCursor(8), [5, 6, 7]),
        (OutboxCursor(5, (2, 4)), OutboxCursor(6), [2, 4, 5]),
    ],
    ids=["the same", "later rows", "late commits"],
)
def test_rows_between_two_snapshots_are_missing(written, since, until, missing):
    """Rows after the first snapshot, and rows of transactions that were open then."""
    condition, parameters = since.missing(until, "id")

    found = OutboxRow.objects.extra(where=[condition], params=parameters)

    assert sorted(found.values_list("id", flat=True)) == missing


def test_rows_of_open_transactions_are_not_seen(written):
    """They must survive pruning."""
    seen = OutboxRow.objects.filter(OutboxCursor(5, (2, 4)).seen("id"))

    assert sorted(seen.values_list("id", flat=True)) == [1, 3]


def test_the_tables_that_sql_names_are_those_of_the_models():
    """The package imports no models, so it repeats their tables' names."""
    assert OutboxRow._meta.db_table == OUTBOX_TABLE
    models = (OutboxRow, LogEntry, Sequencer, Ticket, Process, ProcessReport, Instruction, Interest)
    assert set(postgresql._TABLES) == {model._meta.db_table for model in models}
