"""Transactions that commit after a snapshot which saw them open: no reader of the outbox may forget them.

Only PostgreSQL has such transactions; SQLite lets one writer at a time write and commit.
"""

import contextlib
import json
from collections.abc import Iterator

import psycopg
import pytest

from realtime import notices
from realtime.models import LogEntry
from realtime.publishing import positions
from realtime.publishing.log import EVERYONE
from tests.contract.conftest import Database, Follower, contents

FLOOD_ROWS = 4


@pytest.fixture
def late_writer(on_postgresql: Database) -> Iterator[psycopg.Connection]:
    """A connection in a transaction, which the test lets write and commit."""
    with contextlib.closing(on_postgresql.connect()) as connection:
        connection.execute("BEGIN")
        yield connection


@pytest.fixture
def small_batches(settings) -> None:
    """A limit that a statement of this module exceeds."""
    settings.REALTIME = {**settings.REALTIME, "MAX_BATCH_ROWS": FLOOD_ROWS - 1}


def sequence_one_change(database: Database) -> None:
    """Move the cursor beyond the transactions that are open now: from then on it names them as open."""
    database.sql("UPDATE boards_entry SET label = 'first to commit' WHERE id = 1")
    assert database.sequence() is not None


def flood(database: Database) -> None:
    database.sql(f"UPDATE boards_entry SET label = 'flood' WHERE id <= {FLOOD_ROWS}")


@pytest.mark.usefixtures("small_batches")
def test_a_flood_does_not_hide_a_table_that_was_changed_by_a_late_commit(on_postgresql, late_writer):
    """The topics to read again are found from all outbox rows of the round, early and late."""
    follower = Follower("boards")
    late_writer.execute("UPDATE boards_board SET title = 'late' WHERE id = 1")
    sequence_one_change(on_postgresql)
    late_writer.execute("COMMIT")
    flood(on_postgresql)

    on_postgresql.sequence()

    follower.follow()
    assert "late" in str(contents(follower.topic.rows))
    follower.assert_equals_source()


@pytest.mark.usefixtures("small_batches")
def test_a_flood_does_not_swallow_a_notice_that_was_committed_late(on_postgresql, late_writer):
    """Notices are logged one by one, also when everything else of the round is read again."""
    image = json.dumps({"text": "late", "topic": EVERYONE})
    late_writer.execute(
        "INSERT INTO realtime_outboxrow (source, image) VALUES (%s, %s)", [notices.SOURCE, image]
    )
    sequence_one_change(on_postgresql)
    late_writer.execute("COMMIT")
    flood(on_postgresql)

    on_postgresql.sequence()

    notice = LogEntry.objects.get(kind=LogEntry.Kind.NOTICE)
    assert notice.payload == "late"


def test_a_reading_with_a_late_commit_is_not_older_than_the_commit(on_postgresql, late_writer):
    """Rows that contain a change not yet sequenced were different before: a reader of the former rows misses it."""
    late_writer.execute("UPDATE boards_entry SET label = 'late' WHERE id = 3")
    sequence_one_change(on_postgresql)
    before = positions.read_topic("entries.2")
    late_writer.execute("COMMIT")

    reading = positions.read_topic("entries.2")

    assert contents(reading.rows) != contents(before.rows)
    assert before.position.offset < reading.unchanged_since
