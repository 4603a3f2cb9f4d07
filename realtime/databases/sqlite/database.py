"""SQLite: writers take turns, so a snapshot is the number of outbox rows written so far."""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field

from ..base import Database
from ..captures import TableState
from ..outbox import OutboxCursor, Probe
from . import columns
from .triggers import TRIGGER_PATTERN, SQLiteTriggers

_STEPS_PER_LOOK = 1_000
"""How many steps of SQLite's machine a query runs between two looks at the clock.

A step takes 10 to 100 ns, but one that calls a function of Python's takes far longer.
"""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NEXT = "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'realtime_outboxrow'), 0) + 1"
_PROBE = (
    f"SELECT {_NEXT}, coalesce(epoch, ''), coalesce(next, 0), "
    "coalesce((SELECT max(position) FROM realtime_logentry), 0), "
    "EXISTS (SELECT 1 FROM realtime_outboxrow WHERE id >= next) "
    "FROM (SELECT 1) LEFT JOIN realtime_sequencer ON realtime_sequencer.id = 1"
)
_SCHEMA = "(SELECT schema_version FROM pragma_schema_version)"
_NOW = f"SELECT {_NEXT}, coalesce((SELECT epoch FROM realtime_sequencer WHERE id = 1), '')"
# Values that are stored as texts, or rounded when they are read.
_SEVERAL_FORMS = frozenset({
    "BooleanField", "DateField", "DateTimeField", "DecimalField", "DurationField", "GenericIPAddressField",
    "IPAddressField", "TimeField", "UUIDField",
})  # fmt: skip


class SQLite(Database):
    STAMP = "id"
    # The driver refuses a whole result for one text in it that is not UTF-8.
    TEXT = "CAST({} AS BLOB)"
    NOW = "((julianday('now') - 2440587.5) * 86400.0)"
    AGO = "strftime('%Y-%m-%d %H:%M:%f', 'now', (0 - %s) || ' seconds')"
    MEMBER = """CASE WHEN json_valid(image) THEN CAST(image -> ('$."' || %s || '"') AS BLOB) END"""
    SEVERAL_FORMS = _SEVERAL_FORMS
    HAS_ONE_WRITER = True

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        super().__init__(connection, SQLiteTriggers(connection))

    @contextmanager
    def read_transaction(self) -> Iterator[None]:
        # Not ``atomic()``, which would take the write lock.
        self.fetch("BEGIN DEFERRED")
        try:
            with self._kept_open():
                yield
        finally:
            if self.connection.connection.in_transaction:  # code of a feed may have ended it
                self.fetch("ROLLBACK")

    def is_in_transaction(self) -> bool:
        return self.connection.in_atomic_block or bool(self.connection.connection.in_transaction)

    def fetch(self, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
        return super().fetch(statement.replace("%s", "?"), parameters)

    def snapshot(self) -> tuple[OutboxCursor, str]:
        number, epoch = self._fetch_row(_NOW)
        return OutboxCursor(number), epoch

    def snapshot_in_transaction(self) -> tuple[OutboxCursor, str]:
        # Also one snapshot: a transaction that has written prevents all others from writing.
        return self.snapshot()

    def files_of_snapshot(self, tables: Iterable[str]) -> dict[str, str]:
        return {}  # a snapshot includes every table, and every change of the schema has a number of its own

    @contextmanager
    def failing_alone(self) -> Iterator[None]:
        yield  # a failed statement does not affect the transaction

    @contextmanager
    def limit_query_time(self, seconds: float, is_over: Callable[[], bool] | None = None) -> Iterator[None]:
        ends, driver = time.monotonic() + seconds, self.connection.connection
        driver.set_progress_handler(is_over or (lambda: time.monotonic() > ends), _STEPS_PER_LOOK)
        try:
            yield
        finally:
            driver.set_progress_handler(None, 0)

    def cancel_query(self) -> None:
        self.connection.connection.interrupt()

    def value(self, field: "Field[Any, Any]", noted: Any) -> Any:
        return columns.value(self.connection, field, noted)

    def probe(self) -> Probe:
        offset, epoch, sequenced, log_end, is_waiting = self._fetch_row(_PROBE)
        return Probe(offset, epoch, sequenced, log_end, bool(is_waiting))

    def limit_holding(self, idle_seconds: float, wait_seconds: float, seconds: float) -> None:
        """Do nothing: only the process itself can end its transaction here."""

    def lock_sequencer(self) -> None:
        """Do nothing: the transaction has locked the whole file for writing already."""

    def origin(self) -> str:
        """Return an identifier of this boot of the machine and of the file.

        After a power failure SQLite (synchronous=NORMAL) may have lost the last commits, whose positions
        are then used again; likewise in another file of the same name.
        """
        try:
            boot = _BOOT_ID.read_text().strip()
        except OSError:
            boot = ""
        return f"{boot}.{self.file_identity()}"[:64]

    def column_names(self, table: str) -> set[str]:
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT name FROM pragma_table_xinfo(%s)", [table])
            return {name for (name,) in cursor.fetchall()}

    def table_states(self, tables: Iterable[str]) -> dict[str, TableState]:
        """Return the number of the schema for each: it counts every change of the schema, VACUUM and restore."""
        asked = list(tables)
        states: dict[str, TableState] = {}
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT place.name, {_SCHEMA}, own.name FROM sqlite_master AS place LEFT JOIN sqlite_master AS own "
                "ON own.type = 'trigger' AND own.tbl_name = place.name AND own.name GLOB %s "
                "WHERE place.type IN ('table', 'view') AND place.name IN (SELECT value FROM json_each(%s))",
                [TRIGGER_PATTERN, json.dumps(asked)],
            )
            for table, number, trigger in cursor.fetchall():
                state = states.setdefault(table, TableState(str(number), {}))
                if trigger is not None:
                    state.triggers[trigger] = state.table
        return states

    def common_state(self) -> str:
        (number,) = self._fetch_row(f"SELECT {_SCHEMA}")
        return str(number)

    def file_identity(self) -> str:
        """Return device and number of the file that has the database's name now, "" for one in memory."""
        try:
            found = os.stat(self.connection.settings_dict["NAME"])
        except OSError:
            return ""
        return f"{found.st_dev:x}.{found.st_ino:x}"

    def prepare_tables(self) -> None:
        """Drop the index of transaction numbers, which SQLite does not have: it would cost each trigger time."""
        with self.connection.cursor() as cursor:
            cursor.execute("DROP INDEX IF EXISTS realtime_outbox_xid")
