"""Capture on SQLite: row triggers."""

from collections.abc import Iterable
from dataclasses import replace

from ..base import Triggers
from ..captures import TRIGGER_PREFIX, Capture, InstalledTrigger, literal
from ..outbox import OUTBOX_TABLE
from . import columns, unique_indexes

TRIGGER_PATTERN = f"{TRIGGER_PREFIX}{'[0-9a-f]' * 12}_*"
"""Matches exactly the engine's names: a project's own trigger may begin with realtime_ too."""


_NAMES_OF_KEYS = ("rowid", "_rowid_", "oid")
"""Other names by which an update may set an integer primary key."""


class SQLiteTriggers(Triggers):
    def completed(self, capture: Capture) -> Capture:
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT name, pk, hidden FROM pragma_table_xinfo(%s)", [capture.table])
            found = cursor.fetchall()
        return replace(
            capture,
            conflicts=tuple(unique_indexes.conflicts(self.connection, capture.table, capture.unique)),
            primary_key=tuple(name for name, place, _ in found if place),
            is_computed=not capture.named_columns.isdisjoint(name for name, _, hidden in found if hidden),
        )

    def statements(self, capture: Capture) -> dict[str, str]:
        table = self.quote(capture.table)
        new, old = self._record(capture, "NEW"), self._record(capture, "OLD")
        unique = tuple(dict.fromkeys(column for group in capture.unique for column in group))
        # An index with a condition names columns that are not known here.
        of_unique, when_unique = (
            ("", "") if capture.conflicts else (self._of(capture, unique), f" WHEN {self._differs(unique)}")
        )
        definitions = [
            ("insert", f"AFTER INSERT ON {table}", new),
            ("delete", f"AFTER DELETE ON {table}", old),
            # A row that moves is deleted where it was, by a trigger that SQLite leaves out of updates of other columns.
            # The one for all updates is created after it, and so runs before it.
            (
                "delete",
                f"AFTER UPDATE{self._of(capture, capture.columns)} ON {table} WHEN {self._differs(capture.columns)}",
                old,
            ),
            ("update", f"AFTER UPDATE ON {table}", new),
            # OR REPLACE fires no delete trigger for the row that is replaced (recursive_triggers is off).
            ("replace", f"BEFORE INSERT ON {table}", self._record_replaced(capture)),
            (
                "replace",
                f"BEFORE UPDATE{of_unique} ON {table}{when_unique}",
                self._record_replaced(capture, self._is_another(capture.primary_key)),
            ),
        ]
        created = {}
        for event, when, body in definitions:
            name = capture.trigger_name(event, f"{when} {body}")
            created[name] = f"CREATE TRIGGER {self.quote(name)} {when} BEGIN {body} END"
        return created

    def installed(self) -> list[InstalledTrigger]:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger' AND name GLOB %s",
                [TRIGGER_PATTERN],
            )
            return [InstalledTrigger(name, table, self.quote(table)) for name, table in cursor.fetchall()]

    def unfit(self, table: str) -> str:
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT type, sql FROM sqlite_master WHERE name = %s", [table])
            kind, definition = cursor.fetchone() or ("", "")
        if kind == "view":
            return "it is a view, whose rows change with other tables"
        if (definition or "").upper().startswith("CREATE VIRTUAL"):
            return "it is a virtual table, which cannot have triggers"
        return ""

    def refusal(self, table: str) -> str:
        return ""  # an SQLite file has no roles

    def begin_change(self, wait_seconds: float) -> None:
        """Do nothing: the transaction has locked the whole file for writing already."""

    def create(self, capture: Capture) -> None:
        with self.connection.cursor() as cursor:
            for name, statement in self.statements(capture).items():
                cursor.execute(f"DROP TRIGGER IF EXISTS {self.quote(name)}")  # a renamed table may have it
                cursor.execute(statement, [])

    def drop(self, trigger: InstalledTrigger) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(f"DROP TRIGGER IF EXISTS {self.quote(trigger.name)}")

    def _record(self, capture: Capture, image: str) -> str:
        values = f"'{literal(capture.table)}', {self._image(capture, image)}"
        return f"INSERT INTO {self.quote(OUTBOX_TABLE)} (source, image) VALUES ({values});"

    def _of(self, capture: Capture, columns: Iterable[str]) -> str:
        """Return the clause for updates that set one of the columns; "" where these are not known by their names."""
        if capture.is_computed:
            return ""
        return f" OF {', '.join([*map(self.quote, columns), *_NAMES_OF_KEYS])}"

    def _record_replaced(self, capture: Capture, condition: str = "") -> str:
        """Return one statement for each way to replace a row: with OR, SQLite uses no index that has a condition."""
        table = self.quote(capture.table)
        plain = [
            " AND ".join(f"{self.quote(column)} = NEW.{self.quote(column)}" for column in group)
            for group in capture.unique
        ]
        return " ".join(
            f"INSERT INTO {self.quote(OUTBOX_TABLE)} (source, image) "
            f"SELECT '{literal(capture.table)}', {self._image(capture, 'evicted')} "
            f"FROM {table} AS evicted WHERE {conflict}{condition};"
            for conflict in [*plain, *capture.conflicts]
        )

    def _is_another(self, primary_key: Iterable[str]) -> str:
        """Return the condition that a row is not the one that is being updated; "" for a table without a key."""
        columns = [self.quote(column) for column in primary_key]
        terms = " OR ".join(f"evicted.{column} IS NOT OLD.{column}" for column in columns)
        return f" AND ({terms})" if terms else ""

    def _image(self, capture: Capture, image: str) -> str:
        pairs = ", ".join(
            f"'{literal(column)}', {columns.exact(f'{image}.{self.quote(column)}')}"
            for column in capture.columns
        )
        return f"json_object({pairs})"

    def _differs(self, columns: Iterable[str]) -> str:
        # Compared by bytes: texts that differ in case may be equal in the column's own collation.
        old, new = (
            ", ".join(f"{image}.{self.quote(column)} COLLATE BINARY" for column in columns)
            for image in ("OLD", "NEW")
        )
        return f"({old}) IS NOT ({new})"
