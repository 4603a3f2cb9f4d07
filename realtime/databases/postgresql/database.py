"""PostgreSQL: a snapshot is ``pg_current_snapshot()``, and outbox rows are stamped with transaction ids."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field

from ..base import Database
from ..captures import TableState
from ..outbox import OutboxCursor, Probe
from . import columns
from .triggers import TRIGGER_PATTERN, PostgreSQLTriggers

READ_IDLE_SECONDS = 60
"""How long a transaction that only reads may be idle: its locks delay no writer, but do delay migrations of its
tables."""

_TRANSACTION_TIMEOUT_SINCE = 17_00_00
_TABLES = (
    "realtime_outboxrow", "realtime_logentry", "realtime_sequencer", "realtime_ticket", "realtime_process",
    "realtime_interest", "realtime_processreport", "realtime_instruction",
)  # fmt: skip
# Identifies cluster, database and table: in another one the same positions mean something else.
_ORIGIN = (
    "SELECT concat_ws('.', system_identifier, pg_database.oid, 'realtime_sequencer'::regclass::oid) "
    "FROM pg_control_system(), pg_database WHERE datname = current_database()"
)
# A log restored from another origin, such as a backup under running servers, counts as not begun.
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
# The storage that a table is read from: itself and its partitions, each with its file.
_DIGEST = "md5(string_agg(concat_ws('.', part.oid, file), ' ' ORDER BY part.oid))"
# As of now, whatever the snapshot. pg_partition_tree() locks the partitions, as reading the table has done already.
_FILES = f"""
SELECT name, {_DIGEST}, bool_or(pg_class.oid IS NULL OR file <> relfilenode)
FROM unnest(%s::text[]) AS name, to_regclass(quote_ident(name)) AS root,
  LATERAL (
    SELECT part.oid, coalesce(pg_relation_filenode(part.oid), 0) AS file
    FROM (SELECT root::oid AS oid UNION SELECT relid::oid FROM pg_partition_tree(root)) AS part
  ) AS part
  LEFT JOIN pg_class ON pg_class.oid = part.oid
GROUP BY name
"""
# A file is another one after TRUNCATE and after a rewrite. The xmin of a catalog's row differs after each change of
# it: a partition that is being detached concurrently, a trigger that was disabled for a moment. Without a lock on any
# table, which its writers may hold for long.
_STATES = f"""
WITH RECURSIVE live AS (
  SELECT name, to_regclass(quote_ident(name)) AS root FROM unnest(%s::text[]) AS name
), part AS (
  SELECT root, root::oid AS id, '' AS link, FALSE AS is_left FROM live WHERE root IS NOT NULL
  UNION SELECT root, inhrelid, pg_inherits.xmin::text, is_left OR inhdetachpending
  FROM part JOIN pg_inherits ON inhparent = id
)
SELECT name, (
    SELECT {_DIGEST}
    FROM (
      SELECT id AS oid, coalesce(pg_relation_filenode(id), 0) AS file FROM part
      WHERE part.root = live.root AND (id = live.root OR relkind = 'p' AND NOT is_left)
    ) AS part
  ),
  md5(concat_ws(' ', root, relkind, relispartition, (
    SELECT string_agg(concat_ws('.', id, relfilenode, link), ' ' ORDER BY id, link)
    FROM part JOIN pg_class ON oid = id WHERE part.root = live.root
  ), (
    SELECT string_agg(concat_ws('.', attnum, attname, atttypid, computed.xmin), ' ' ORDER BY attnum)
    FROM pg_attribute
    LEFT JOIN pg_attrdef AS computed ON adrelid = attrelid AND adnum = attnum AND attgenerated <> ''
    WHERE attrelid = live.root AND attnum > 0 AND NOT attisdropped
  ))),
  tgname, concat_ws('.', pg_trigger.oid, pg_trigger.xmin)
FROM live JOIN pg_class ON pg_class.oid = root
LEFT JOIN pg_trigger ON tgrelid = root AND tgenabled IN ('O', 'A') AND tgname ~ %s
"""


class PostgreSQL(Database):
    STAMP = "xid"
    TEXT = "{}::text"
    NOW = "extract(epoch FROM statement_timestamp())::double precision"
    AGO = "statement_timestamp() - make_interval(secs => %s)"
    MEMBER = "image -> %s::text"
    SEVERAL_FORMS = frozenset({"GenericIPAddressField", "IPAddressField"})  # with the length of a network

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        super().__init__(connection, PostgreSQLTriggers(connection))

    @contextmanager
    def read_transaction(self) -> Iterator[None]:
        # READ COMMITTED would take another snapshot for each statement.
        with self.connection.cursor() as cursor:
            cursor.execute(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
                f"SET LOCAL idle_in_transaction_session_timeout = '{READ_IDLE_SECONDS}s'"
            )
            try:
                with self._kept_open():
                    yield
            finally:
                cursor.execute("ROLLBACK")

    def is_in_transaction(self) -> bool:
        return bool(self.connection.connection.info.transaction_status.name != "IDLE")

    def snapshot(self) -> tuple[OutboxCursor, str]:
        number, in_progress, epoch = self._fetch_row(_NOW)
        return OutboxCursor(number, tuple(sorted(in_progress))), epoch

    def snapshot_in_transaction(self) -> tuple[OutboxCursor, str]:
        """Return the snapshot of this statement, without an epoch: it is not a position.

        Each statement there reads another snapshot, and rows that may be rolled back later. A page rendered
        so gets a snapshot of the topic when it subscribes.
        """
        return self.snapshot()[0], ""

    def files_of_snapshot(self, tables: Iterable[str]) -> dict[str, str] | None:
        """Return the storage that each table is read from, None if a file was replaced since the snapshot.

        TRUNCATE, and a migration that rewrites a table, remove rows from older snapshots too. The snapshot
        shows the table's old file in pg_class, and pg_relation_filenode() the current one. Reading a table
        locks it against both until the transaction ends, so a check after the reading holds for the reading.
        """
        with self.connection.cursor() as cursor:
            cursor.execute(_FILES, [list(tables)])
            found = cursor.fetchall()
        return (
            None
            if any(is_replaced for _, _, is_replaced in found)
            else {table: files for table, files, _ in found}
        )

    @contextmanager
    def failing_alone(self) -> Iterator[None]:
        with self.connection.cursor() as cursor:
            cursor.execute("SAVEPOINT realtime")
            try:
                yield
                # This fails, too, if the block has caught an error of the database and continued.
                cursor.execute("RELEASE SAVEPOINT realtime")
            except BaseException:
                cursor.execute("ROLLBACK TO SAVEPOINT realtime")
                cursor.execute("RELEASE SAVEPOINT realtime")
                raise

    @contextmanager
    def limit_query_time(self, seconds: float, is_over: Callable[[], bool] | None = None) -> Iterator[None]:
        with self.connection.cursor() as cursor:
            # 0 would mean no limit.
            cursor.execute(f"SET LOCAL statement_timeout = {max(1, round(seconds * 1000))}")
            try:
                yield
            except DatabaseError:
                raise  # the transaction accepts no statement; its end, or that of its savepoint, restores the limit
            except BaseException:
                cursor.execute("SET LOCAL statement_timeout TO DEFAULT")
                raise
            cursor.execute("SET LOCAL statement_timeout TO DEFAULT")

    def cancel_query(self) -> None:
        self.connection.connection.cancel_safe(timeout=1.0)

    def value(self, field: "Field[Any, Any]", noted: Any) -> Any:
        return columns.value(self.connection, field, noted)

    def probe(self) -> Probe:
        offset, epoch, sequenced, log_end, is_waiting = self._fetch_row(_PROBE)
        return Probe(offset, epoch, sequenced, log_end, bool(is_waiting))

    def limit_holding(self, idle_seconds: float, wait_seconds: float, seconds: float) -> None:
        """Bound the pauses of this transaction, its waiting for locks and, from PostgreSQL 17, all of it.

        With the limit on waiting, a process that froze while it waited does not get the lock for another five seconds;
        with the limit on the whole, several processes that froze in a queue end at the same time.
        """
        limits = {"idle_in_transaction_session_timeout": idle_seconds, "lock_timeout": wait_seconds}
        if getattr(self.connection, "pg_version", 0) >= _TRANSACTION_TIMEOUT_SINCE:
            limits["transaction_timeout"] = seconds
        with self.connection.cursor() as cursor:
            cursor.execute(
                "; ".join(f"SET LOCAL {name} = '{limit * 1000:.0f}ms'" for name, limit in limits.items())
            )

    def lock_sequencer(self) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute("LOCK TABLE realtime_sequencer IN SHARE ROW EXCLUSIVE MODE")

    def origin(self) -> str:
        """Return an identifier of cluster, database and table.

        It need not change after a crash: the tables are unlogged and empty then.
        """
        with self.connection.cursor() as cursor:
            cursor.execute(_ORIGIN)
            (origin,) = cursor.fetchone()
            return str(origin)

    def column_names(self, table: str) -> set[str]:
        return set(columns.types(self.connection, table))

    def table_states(self, tables: Iterable[str]) -> dict[str, TableState]:
        states: dict[str, TableState] = {}
        with self.connection.cursor() as cursor:
            cursor.execute(_STATES, [list(tables), TRIGGER_PATTERN])
            for table, files, of_table, trigger, of_trigger in cursor.fetchall():
                state = states.setdefault(table, TableState(of_table, {}, files))
                if trigger is not None:
                    state.triggers[trigger] = f"{of_table}.{of_trigger}"
        return states

    def common_state(self) -> str:
        return ""

    def file_identity(self) -> str:
        return ""

    def prepare_tables(self) -> None:
        """Make the engine's tables unlogged.

        After a crash PostgreSQL assigns transaction ids again that snapshots had already seen, so positions
        would repeat. Unlogged tables are empty after a crash, on a promoted replica and in a restored base
        backup, and only then: exactly when a new epoch must begin. And capture writes no WAL.
        """
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT oid::regclass::text FROM pg_class WHERE relpersistence = 'p' AND oid = ANY "
                "(ARRAY(SELECT to_regclass(name) FROM unnest(%s::text[]) AS name))",
                [list(_TABLES)],
            )
            for (table,) in cursor.fetchall():
                cursor.execute(f"ALTER TABLE {table} SET UNLOGGED")
