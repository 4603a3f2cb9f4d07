"""When positions may repeat, the log begins a new epoch, and pages get a snapshot."""

import contextlib
import sqlite3
import time

import pytest
from django.db import OperationalError, connection

from realtime.boards.models import Entry
from realtime.models import LogEntry, OutboxRow, Sequencer
from realtime.publishing import positions
from realtime.publishing.sequencer import sequence
from realtime.runtime import threads
from tests.conftest import PATIENCE_SECONDS, until
from tests.contract.conftest import Database, Follower
from tests.delivery.conftest import Follower as LiveFollower
from tests.delivery.conftest import has_row
from tests.support import databases


@pytest.fixture
def own_server(prepared, django_db_blocker):
    """A server of this test's own, which it may stop and kill."""
    if prepared.vendor != "postgresql":
        pytest.skip("only on PostgreSQL")
    from django.core.management import call_command

    from tests.contract.conftest import fill

    with databases.running() as server:
        with contextlib.closing(server.connect()) as plain:
            plain.execute("CREATE DATABASE one")
        database = Database("postgresql", server, "one")
        with django_db_blocker.unblock(), database.is_default():
            call_command("migrate", verbosity=0)
            fill()
            positions.ensure_epoch()
            database.sequence()
            yield database


def test_a_crash_begins_a_new_epoch(own_server):
    """After a power failure transaction ids are used again; after a clean restart they continue."""
    epoch = positions.ensure_epoch()
    Entry.objects.filter(pk=1).update(label="before")
    own_server.sequence()

    connection.close()
    own_server.source.stop()
    own_server.source.start()
    assert positions.ensure_epoch() == epoch
    assert LogEntry.objects.exists()

    connection.close()
    own_server.source.crash()
    assert positions.probe().epoch == ""
    assert own_server.sequence() is None
    assert positions.probe().epoch not in ("", epoch)
    assert not LogEntry.objects.exists()

    follower = Follower("entries.2")
    Entry.objects.filter(pk=1).update(label="after")
    own_server.sequence()
    assert len(follower.follow()) == 1
    follower.assert_equals_source()


def test_a_killed_backend_begins_a_new_epoch(own_server):
    """The server restarts itself, and commits that were not flushed are lost."""
    epoch = positions.ensure_epoch()
    victim = own_server.connect()

    own_server.source.kill_backend(victim.info.backend_pid)

    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            positions.ensure_epoch()
            if positions.probe().epoch != epoch:
                break
        except OperationalError:  # the server is recovering
            connection.close()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not LogEntry.objects.exists()


def test_a_copied_database_begins_a_new_epoch(on_postgresql):
    """A database restored under another name has other positions; it has none before the new epoch."""
    epoch = positions.ensure_epoch()
    assert positions.ensure_epoch() == epoch
    connection.close()
    copy = Database("postgresql", on_postgresql.source, f"{on_postgresql.name}_copy")
    on_postgresql.source.copy(on_postgresql.name, copy.name)

    with copy.is_default():
        assert positions.read_topic("entries.2").position.epoch == ""
        copy.sequence()
        assert positions.probe().epoch not in ("", epoch)

    on_postgresql.source.drop(copy.name)


def test_a_backup_restored_under_a_publisher_begins_a_new_epoch(on_postgresql, tmp_path):
    """It contains an older log, which would reach the positions that pages have once more, with other content."""
    server, name = on_postgresql.source, on_postgresql.name
    epoch = positions.ensure_epoch()
    on_postgresql.sequence()
    server.backup(name, tmp_path / "backup")
    Entry.objects.filter(pk=1).update(label="lost")
    seen = positions.probe()

    server.restore(tmp_path / "backup", name)

    assert sequence(seen) is None, "the outbox belongs to another epoch"
    assert positions.probe().epoch == ""
    on_postgresql.sequence()
    assert positions.probe().epoch not in ("", epoch)


def test_a_flushed_log_begins_a_new_epoch(database):
    """As when the engine's tables are emptied."""
    epoch = positions.ensure_epoch()
    Sequencer.objects.all().delete()
    OutboxRow.objects.all().delete()

    assert database.sequence() is None

    assert positions.probe().epoch not in ("", epoch)


def test_an_outbox_that_goes_back_begins_a_new_epoch(database):
    """The log is ahead of the outbox: a backup was restored."""
    epoch = positions.ensure_epoch()
    Sequencer.objects.update(next=10**12)

    database.sequence()

    state = positions.probe()
    assert state.epoch not in ("", epoch)
    assert state.sequenced <= state.offset


async def test_a_process_that_publishes_nothing_notices_that_the_file_is_replaced(
    database, make_hub, in_database, tmp_path
):
    """Its hub does: housekeeping runs only where changes are published. Another process begins the new log."""
    if database.vendor != "sqlite":
        pytest.skip("only SQLite has a file")
    hub = await make_hub()
    follower = await LiveFollower("entries.2").follow(hub.hub)
    other = tmp_path / "other"
    database.sql(f"VACUUM INTO '{other}'", "PRAGMA wal_checkpoint(TRUNCATE)")
    with contextlib.closing(sqlite3.connect(other)) as plain, plain:
        plain.execute("UPDATE boards_entry SET label = 'in the other file' WHERE id = 1")

    generation = threads._generation
    other.replace(database.source / database.name)
    await until(lambda: threads._generation > generation)
    await in_database(positions.ensure_epoch)

    await until(has_row(follower, "in the other file"))
    assert await hub.is_current(follower)
