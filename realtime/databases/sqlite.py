"""SQLite: writers take turns, so a snapshot is how many outbox rows there have been."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .base import OutboxCursor, Probe

STAMP = "id"

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NEXT = "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'realtime_outboxrow'), 0) + 1"
_PROBE = (
    f"SELECT {_NEXT}, coalesce(epoch, ''), coalesce(next, 0), "
    "coalesce((SELECT max(position) FROM realtime_logentry), 0), "
    "EXISTS (SELECT 1 FROM realtime_outboxrow WHERE id >= next) "
    "FROM (SELECT 1) LEFT JOIN realtime_sequencer ON realtime_sequencer.id = 1"
)
_NOW = f"SELECT {_NEXT}, coalesce((SELECT epoch FROM realtime_sequencer WHERE id = 1), '')"


def probe(connection) -> Probe:
    """Return where outbox and log stand: the question asked every tick, so on the driver's connection.

    Through Django's cursor it costs three times as much when asked now and then.
    """
    return Probe(*connection.connection.execute(_PROBE).fetchone())


@contextmanager
def read_transaction(connection) -> Iterator[None]:
    """Read one snapshot, without waiting for writers: ``atomic()`` would take the write lock."""
    with connection.cursor() as cursor:
        cursor.execute("BEGIN DEFERRED")
        try:
            yield
        finally:
            cursor.execute("ROLLBACK")


def is_in_transaction(connection) -> bool:
    return connection.in_atomic_block or connection.connection.in_transaction


def now(connection) -> tuple[OutboxCursor, str]:
    """Return the snapshot that is being read, and the log's epoch, empty before it has begun."""
    with connection.wrap_database_errors:
        number, epoch = connection.connection.execute(_NOW).fetchone()
    return OutboxCursor(number), epoch


def now_in_transaction(connection) -> tuple[OutboxCursor, str]:
    """Return the same inside a transaction of somebody's: it keeps everybody else from writing."""
    return now(connection)


def is_snapshot_kept(connection, tables: Iterable[str]) -> bool:
    """Return whether the tables, read before, were as of the snapshot; here a snapshot is of everything."""
    return True


@contextmanager
def failing_alone(connection) -> Iterator[None]:
    """Let queries inside fail; here a failed one leaves the transaction as it was."""
    yield


def hold_briefly(connection) -> None:
    """Bound how long a transaction may stand still; nobody can end one here but its process."""


def lock_sequencer(connection) -> None:
    """Keep others from beginning an epoch; a transaction that is to write has the whole file already."""


def origin(connection) -> str:
    """Return what names this boot of the machine, empty where the system has no such name.

    After a power failure SQLite (synchronous=NORMAL) may have lost the last commits, whose positions
    then come again.
    """
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def prepare_tables(connection) -> None:
    """Make the engine's tables what migrations cannot say; nothing, here."""
