"""Captures: the columns that the triggers of a table record. Each database's ``triggers`` turns them into SQL."""

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

TRIGGER_PREFIX = "realtime_"


@dataclass(frozen=True, slots=True)
class Capture:
    """The columns of a table whose old and new values its triggers record: those that identify its rows, their
    topics, or the rows of other tables that depend on them.

    Shape: ``unique`` holds the groups of columns by which one row can replace another (OR REPLACE), without those
           that are unique only on a condition.
    """

    table: str
    columns: tuple[str, ...]
    unique: tuple[tuple[str, ...], ...]
    conflicts: tuple[str, ...] = ()
    """Further SQL conditions on which a row can be replaced; only the database has them."""
    primary_key: tuple[str, ...] = ()
    """The primary key of the table in the database, which need not be the model's."""
    is_computed: bool = False
    """Whether the database computes one of the columns that triggers name from others, so that updates set those."""

    @property
    def named_columns(self) -> set[str]:
        """All columns that the triggers name."""
        return {*self.columns, *(column for group in self.unique for column in group)}

    def trigger_name(self, event: str, body: str) -> str:
        """Return a name that changes with the definition, so that comparing names finds outdated triggers."""
        digest = hashlib.blake2s(f"{self.table}\0{event}\0{body}".encode(), digest_size=6).hexdigest()
        return f"{TRIGGER_PREFIX}{digest}_{event}"


class InstalledTrigger(NamedTuple):
    """A trigger of the engine in the database.

    Shape: ``table`` is the name by which the project reaches its table, "" for a function without a trigger and
           for a table that cannot be reached by its name alone; ``place`` is the table as SQL names it.
    """

    name: str
    table: str
    place: str


class TableState(NamedTuple):
    """The state of a table and its triggers, as texts that are compared with earlier ones.

    Shape: ``triggers`` has what each trigger of the engine is together with the table, by its name; ``files`` is what
           the table is read from, as in ``files_of_snapshot``, None where a snapshot is enough to know.
    """

    table: str
    triggers: dict[str, str]
    files: str | None = None


def literal(text: str) -> str:
    """Return a text for use between single quotes in a statement that Django's cursor executes."""
    return text.replace("'", "''").replace("%", "%%")
