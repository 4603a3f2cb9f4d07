"""The contract of a database: the operations for which each vendor needs SQL of its own.

A new database implements both classes in a package beside ``postgresql`` and ``sqlite`` and is added to
``registry``. The tests in tests/contract run on every database.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field

from .captures import Capture, InstalledTrigger, TableState
from .outbox import OutboxCursor, Probe


class Triggers(ABC):
    """The triggers that record changes in the outbox."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection

    def completed(self, capture: Capture) -> Capture:
        """Return a capture, completed by details of its table that triggers need and only the database has."""
        return capture

    @abstractmethod
    def statements(self, capture: Capture) -> dict[str, str]:
        """Return the statement that creates each trigger of a capture, by the trigger's name."""

    @abstractmethod
    def installed(self) -> list[InstalledTrigger]:
        """Return the engine's triggers; a table that was renamed keeps its own, under the same name."""

    @abstractmethod
    def unfit(self, table: str) -> str:
        """Return why the relation of this name cannot be captured, a view for example; "" if no reason is known."""

    @abstractmethod
    def refusal(self, table: str) -> str:
        """Return why this role may not create triggers on the table; "" if no reason is known."""

    @abstractmethod
    def begin_change(self, wait_seconds: float) -> None:
        """Wait until no other process changes triggers; call it first in the transaction that changes them.

        Units: the time limit for this wait and for each lock of a table, where the database has one.
        """

    @abstractmethod
    def create(self, capture: Capture) -> None:
        """Create the triggers of a capture; those that exist are replaced."""

    @abstractmethod
    def drop(self, trigger: InstalledTrigger) -> None:
        """Drop a trigger if it exists, with everything that only this trigger used."""

    def quote(self, name: str) -> str:
        return self.connection.ops.quote_name(name)


class Database(ABC):
    """One connection to the engine's database."""

    STAMP: ClassVar[str]
    """Column of the outbox that orders its rows as snapshots see them."""
    TEXT: ClassVar[str]
    """SQL for the text of an outbox column, which replaces {}; as bytes where the text may not be UTF-8."""
    NOW: ClassVar[str]
    """The time of the statement, in seconds since 1970, by the database's clock."""
    AGO: ClassVar[str]
    """SQL for the time a number of seconds ago, its parameter, by the database's clock, as time columns have it."""
    MEMBER: ClassVar[str]
    """SQL for the JSON of one member of an image, whose name is the parameter; NULL if there is none."""
    SEVERAL_FORMS: ClassVar[frozenset[str]]
    """Kinds of fields whose columns may hold a value in several forms: Django reads each form, and searches for one."""

    HAS_ONE_WRITER: ClassVar[bool] = False
    """Whether one program writes at a time, and the others look again and again whether it has finished."""

    def __init__(self, connection: BaseDatabaseWrapper, triggers: Triggers) -> None:
        self.connection = connection
        self.triggers = triggers

    @property
    def alias(self) -> str:
        return self.connection.alias

    # ------------------------------------------------------------ snapshots

    @abstractmethod
    def read_transaction(self) -> AbstractContextManager[None]:
        """Return a block in which all statements read the same snapshot, without waiting for writers."""

    @contextmanager
    def _kept_open(self) -> Iterator[None]:
        """Return a block in which code of a feed does not close the connection, as ``close_old_connections`` does.

        The rows after it would be of another moment, and the transaction of all feeds would be over.
        """
        own = vars(self.connection)
        own["close"] = lambda: None
        try:
            yield
        finally:
            del own["close"]

    @abstractmethod
    def is_in_transaction(self) -> bool:
        """Return whether the connection, which must be open, is inside a transaction."""

    @abstractmethod
    def snapshot(self) -> tuple[OutboxCursor, str]:
        """Return the snapshot that is being read and the log's epoch, "" before the log has begun."""

    @abstractmethod
    def snapshot_in_transaction(self) -> tuple[OutboxCursor, str]:
        """Return the same inside a caller's transaction; the epoch is "" where that is not one snapshot."""

    @abstractmethod
    def files_of_snapshot(self, tables: Iterable[str]) -> dict[str, str] | None:
        """Return the storage that each table is read from, None if one was not as of the snapshot. Call it last.

        Shape: a text for each table, such as of its partitions and their files; no tables where a change of one cannot
               be undone unnoticed.
        """

    @abstractmethod
    def failing_alone(self) -> AbstractContextManager[None]:
        """Return a block in which a query may fail without aborting the transaction around it."""

    @abstractmethod
    def limit_query_time(
        self, seconds: float, is_over: Callable[[], bool] | None = None
    ) -> AbstractContextManager[None]:
        """Return a block, inside a transaction, in which a statement that takes longer fails (OperationalError).

        Where statements run in this thread and not in a server, ``is_over`` decides instead of the clock.
        The failure aborts the transaction where the database does that; ``failing_alone`` around it prevents that.
        """

    @abstractmethod
    def cancel_query(self) -> None:
        """Make the query that another thread runs on this connection fail, if there is one."""

    @abstractmethod
    def value(self, field: "Field[Any, Any]", noted: Any) -> Any:
        """Return a recorded value of a field's column as the driver returns it.

        Shape:  ``noted`` is given as an image has it.

        Raises: ValueError, if no trigger records a value in this form; the driver's error for a value that Python
                does not have.
        """

    @abstractmethod
    def probe(self) -> Probe:
        """Return the positions of outbox and log, in one cheap statement: it is run at every tick."""

    # ------------------------------------------------------------ the log's life

    @abstractmethod
    def limit_holding(self, idle_seconds: float, wait_seconds: float, seconds: float) -> None:
        """Have the server end this transaction if its process freezes, where the database can.

        It is the first statement of the transaction, before anything is locked.
        """

    @abstractmethod
    def lock_sequencer(self) -> None:
        """Keep other processes from beginning an epoch until this transaction ends."""

    @abstractmethod
    def origin(self) -> str:
        """Return an identifier of the source of positions: with another origin, positions may repeat."""

    @abstractmethod
    def column_names(self, table: str) -> set[str]:
        """Return the names of a table's columns, even if this role may not read it; empty if there is no such table."""

    @abstractmethod
    def table_states(self, tables: Iterable[str]) -> dict[str, TableState]:
        """Return the state of each table, in one cheap query; names without a table are left out.

        A state differs from an earlier one if rows may have changed without a trigger recording it: another table has
        the name, it has other partitions, columns or files, or a trigger was absent in between.
        """

    @abstractmethod
    def common_state(self) -> str:
        """Return the part that the states of all tables and triggers share; "" where they share none."""

    @abstractmethod
    def file_identity(self) -> str:
        """Return an identifier of the database's file at present; "" where it is not a single file."""

    @abstractmethod
    def prepare_tables(self) -> None:
        """Give the engine's tables the properties that migrations cannot express."""

    def fetch(self, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Return the rows of a query of the engine's own; %s marks a parameter, as for Django's cursor.

        Uses the driver's connection: through Django's cursor an occasional statement takes three times as long.
        """
        self.connection.ensure_connection()
        with self.connection.wrap_database_errors:
            found: list[Any] = self.connection.connection.execute(statement, parameters).fetchall()
        return found

    def _fetch_row(self, statement: str) -> Any:
        """Return the one row of a statement."""
        return self.fetch(statement)[0]


def is_storable(text: str) -> bool:
    """Return whether every database can store a text: without null characters and halves of surrogate pairs."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)
