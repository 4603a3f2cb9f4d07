"""PostgreSQL: a snapshot is ``pg_current_snapshot()``, and the outbox is stamped with transaction ids."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from .base import OutboxCursor, Probe

STAMP = "xid"

HOLD_MILLISECONDS = 5000
"""How long a transaction that everybody waits for may stand still, as in a frozen process."""

_TABLES = ("realtime_outboxrow", "realtime_logentry", "realtime_sequencer", "realtime_ticket")
# What names cluster, database and table: in another one positions mean something else.
_ORIGIN = (
    "SELECT concat_ws('.', system_identifier, pg_database.oid, 'realtime_sequencer'::regclass::oid) "
    "FROM pg_control_system(), pg_database WHERE datname = current_database()"
)
# A log that was put here from elsewhere, a backup under running servers, has not begun.
_LOG = f"realtime_sequencer ON id = 1 AND origin = ({_ORIGIN})"
_PROBE = f"""
SELECT pg_snapshot_xmax(now)::text::bigint - (SELECT count(*) FROM pg_snapshot_xip(now)),
  coalesce(epoch, ''),
  coalesce(next - jsonb_array_length(open), 0),
  coalesce((SELECT max(position) FROM realtime_logentry), 0),
  EXISTS (
    SELECT 1 FROM realtime_outboxrow WHERE xid >= next AND xid < pg_snapshot_xmax(now)::text::bigint
  ) OR jsonb_array_length(open) > 0 AND EXISTS (
    SELECT 1 FROM realtime_outboxrow WHERE xid = ANY (
      ARRAY(SELECT jsonb_array_elements_text(open)::bigint)
    )
  )
FROM pg_current_snapshot() AS now LEFT JOIN {_LOG}
"""
_NOW = (
    "SELECT pg_snapshot_xmax(now)::text::bigint, ARRAY(SELECT pg_snapshot_xip(now)::text::bigint), "
    f"coalesce(epoch, '') FROM pg_current_snapshot() AS now LEFT JOIN {_LOG}"
)
_REWRITTEN = """
SELECT EXISTS (
  SELECT 1 FROM unnest(%s::text[]) AS name, to_regclass(quote_ident(name)) AS root,
    LATERAL (SELECT root AS oid UNION SELECT relid FROM pg_partition_tree(root)) AS part
    LEFT JOIN pg_class ON pg_class.oid = part.oid
  WHERE pg_class.oid IS NULL OR coalesce(pg_relation_filenode(pg_class.oid), 0) <> relfilenode
)
"""


def probe(connection) -> Probe:
    """Return where outbox and log stand: the question asked every tick, so on the driver's connection."""
    offset, epoch, sequenced, log_end, is_waiting = connection.connection.execute(_PROBE).fetchone()
    return Probe(offset, epoch, sequenced, log_end, bool(is_waiting))


@contextmanager
def read_transaction(connection) -> Iterator[None]:
    """Read one snapshot; READ COMMITTED would take another one for each statement."""
    with connection.cursor() as cursor:
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            yield
        finally:
            cursor.execute("ROLLBACK")


def is_in_transaction(connection) -> bool:
    idle = connection.Database.pq.TransactionStatus.IDLE
    return connection.connection.info.transaction_status != idle


def now(connection) -> tuple[OutboxCursor, str]:
    """Return the snapshot that is being read, and the log's epoch, empty before it has begun."""
    with connection.wrap_database_errors:
        number, in_progress, epoch = connection.connection.execute(_NOW).fetchone()
    return OutboxCursor(number, tuple(sorted(in_progress))), epoch


def now_in_transaction(connection) -> tuple[OutboxCursor, str]:
    """Return the same inside a transaction of somebody's, without an epoch: it names no position.

    Each statement there sees another snapshot, and rows that may yet be rolled back. A page painted so
    gets a snapshot when it subscribes.
    """
    return now(connection)[0], ""


def is_snapshot_kept(connection, tables: Iterable[str]) -> bool:
    """Return whether the tables, read before, were as of the snapshot.

    TRUNCATE, and a migration that rewrites a table, take rows away from older snapshots too. The snapshot
    has the table's old file still, and the function the new one. Having read the table we keep others from
    doing that until we end, so what is looked at after the reading holds for it.
    """
    with connection.cursor() as cursor:
        cursor.execute(_REWRITTEN, [list(tables)])
        return not cursor.fetchone()[0]


@contextmanager
def failing_alone(connection) -> Iterator[None]:
    """Let queries inside fail without the transaction around them."""
    with connection.cursor() as cursor:
        cursor.execute("SAVEPOINT realtime")
        try:
            yield
        except BaseException:
            cursor.execute("ROLLBACK TO SAVEPOINT realtime")
            raise
        finally:
            cursor.execute("RELEASE SAVEPOINT realtime")


def hold_briefly(connection) -> None:
    """Let the server end this transaction if its process stands still: it is to hold a lock for which all wait."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL idle_in_transaction_session_timeout = '{HOLD_MILLISECONDS}ms'")


def lock_sequencer(connection) -> None:
    """Keep others from beginning an epoch until this transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE realtime_sequencer IN SHARE ROW EXCLUSIVE MODE")


def origin(connection) -> str:
    """Return what names cluster, database and table.

    A crash needs no name here: the tables are unlogged and empty after it.
    """
    with connection.cursor() as cursor:
        cursor.execute(_ORIGIN)
        return cursor.fetchone()[0]


def prepare_tables(connection) -> None:
    """Take the engine's tables out of the write-ahead log.

    After a crash PostgreSQL hands out transaction ids again that had been seen, so positions would
    repeat. Unlogged tables are empty after a crash, on a replica that takes over and in a restored base
    backup, and only then: exactly when a new epoch must begin. And capture costs no WAL.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relpersistence = 'p' AND oid = ANY "
            "(ARRAY(SELECT to_regclass(name) FROM unnest(%s::text[]) AS name))",
            [list(_TABLES)],
        )
        for (table,) in cursor.fetchall():
            cursor.execute(f"ALTER TABLE {table} SET UNLOGGED")
