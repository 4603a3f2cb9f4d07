"""Positions: which snapshot of the database is read, and reading a topic's rows together with it.

All rows for subscribers are read here or inside ``read_snapshot``, so that rows and position come from one
read transaction.
"""

import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.db.models import BooleanField, QuerySet
from django.db.models.expressions import RawSQL

from ..conf import get_conf
from ..databases.base import Database
from ..databases.outbox import OutboxCursor, Probe
from ..databases.registry import database
from ..databases.transactions import engine_transaction
from ..engine.messages import Content, Row
from ..engine.position import Position
from ..feeds import registry
from ..models import LogEntry, OutboxRow
from . import heads, outbox_records, progress
from .budget import Budget, OutOfTime

MAX_WAITING_ROWS = 10_000
"""How many outbox rows a reading searches for those of its feed; if more wait, its topic counts as changed."""
BEGIN_SECONDS = 120.0
"""How long beginning an epoch may take: it deletes outbox and log, however large they are."""


@dataclass(frozen=True, slots=True)
class Reading:
    """All rows of a topic at one position.

    Units: offsets. The topic has had these rows at every position from ``unchanged_since`` on, and what rights to
           it depend on has been the same at every position from ``rights_since`` on.
    Shape: ``format`` is the only one in which rows were read, None if in all formats of the feed; ``left_out`` is how
           many rows are missing because they could not be rendered there; ``files`` is what each table was read from
           (``Database.files_of_snapshot``).
    """

    position: Position
    rows: list[Row]
    unchanged_since: int
    rights_since: int
    format: Content | None = None
    left_out: int = 0
    files: Mapping[str, str] = field(default_factory=dict)

    def is_usable_in(self, format: Content | None) -> bool:
        """Return whether reading in another format would have had the same rows: a row may fail in a single format."""
        return format == self.format or (self.format is None and not self.left_out)


@dataclass(frozen=True, slots=True)
class Moment:
    """A snapshot of a database that is being read; ``epoch`` is empty before the log has begun.

    ``is_callers`` is whether a caller's transaction is read, which keeps its snapshot: reading again would not help.
    """

    database: Database
    cursor: OutboxCursor
    epoch: str
    is_callers: bool = False

    @property
    def position(self) -> Position:
        return Position(self.epoch, self.cursor.offset)

    def is_kept(self, tables: Iterable[str]) -> bool:
        """Return whether the tables were as of this snapshot. Call it after they have been read."""
        return self.files(tables) is not None

    def files(self, tables: Iterable[str]) -> dict[str, str] | None:
        """Return the storage of the tables, None if one was not as of this snapshot. Call it after reading them."""
        return {} if self.is_callers else self.database.files_of_snapshot(tables)


@contextmanager
def read_snapshot() -> Iterator[Moment]:
    """Read the database as of one moment: everything read inside belongs to the position yielded.

    Not ``atomic()``, which would wait for every writer on SQLite and read several snapshots on PostgreSQL.
    Inside a caller's transaction, that transaction's view is read.
    """
    here = database()
    here.connection.ensure_connection()
    if here.is_in_transaction():
        yield Moment(here, *here.snapshot_in_transaction(), is_callers=True)
        return
    with here.read_transaction():
        yield Moment(here, *here.snapshot())


def probe() -> Probe:
    """Return the positions of outbox and log, in one cheap query."""
    return database().probe()


def unsequenced(since: OutboxCursor, until: OutboxCursor) -> QuerySet[OutboxRow]:
    """Return the outbox rows visible at ``until`` and not at ``since``; read them in the snapshot ``until``."""
    condition, parameters = since.missing(until, database().STAMP)  # column names and placeholders only
    return OutboxRow.objects.filter(RawSQL(condition, parameters, output_field=BooleanField()))  # noqa: S611


def read_topic(topic: str, seconds: float | None = None, format: Content | None = None) -> Reading:
    """Return all rows of a topic, in order, with their position; by default in all formats of the feed.

    Units: ``seconds`` is the time limit of each query, and of all together with rendering; by default ``READ_SECONDS``.
    Raises: UnknownTopic. After the time TimeoutError, or OperationalError from a query.
    """
    feed, key = registry.find(topic)
    while True:
        budget = Budget(get_conf().read_seconds if seconds is None else seconds)
        with read_snapshot() as moment, moment.database.limit_query_time(budget.seconds):
            left_out: list[object] = []
            try:
                rows = feed.read_topic(key, budget.spend_on_a_row, format, left_out.append)
            except OutOfTime as error:
                raise TimeoutError(
                    f"reading topic {topic} took more than {budget.seconds:g} s: {budget.rows} rows were "
                    "rendered; make its template and properties quicker, split the feed by a topic_field, or "
                    "raise READ_SECONDS"
                ) from error
            files = moment.files(feed.tables)
            if files is not None:
                since = _unchanged_since(topic, moment)
                return Reading(moment.position, rows, *since, format, len(left_out), files)


def _unchanged_since(topic: str, moment: Moment) -> tuple[int, int]:
    """Return the offsets since which the topic has had its present rows, and the tables behind its rights theirs."""
    feed, _ = registry.find(topic)
    sequenced, here = progress.read(), moment.cursor.offset
    if sequenced is None:
        return here, here
    waiting = _waiting_sources(sequenced.cursor, moment.cursor)
    if waiting is None or waiting & feed.rights_tables:
        return here, here
    topics = {topic, feed.name}
    rights_since = max([sequenced.edge, *heads.newest_asking(topics).values()])
    if waiting & feed.tables:
        return here, rights_since
    return max([sequenced.edge, *heads.newest(topics).values()]), rights_since


def _waiting_sources(since: OutboxCursor, until: OutboxCursor) -> set[str] | None:
    """Return the sources of the outbox rows that are not sequenced; None if there are too many rows to look at."""
    here = database()
    missing, parameters = since.missing(until, here.STAMP)
    found = here.fetch(
        f"SELECT {here.TEXT.format('source')}, count(*) FROM "
        f"(SELECT source FROM realtime_outboxrow WHERE {missing} LIMIT %s) AS waiting GROUP BY source",
        [*parameters, MAX_WAITING_ROWS + 1],
    )
    return (
        {outbox_records.text(source) for source, _ in found}
        if sum(n for _, n in found) <= MAX_WAITING_ROWS
        else None
    )


# ---------------------------------------------------------------- the log's life


def ensure_epoch() -> str:
    """Return the log's epoch; begin one if there is none or if positions may repeat."""
    origin = database().origin()
    present = progress.read()
    return begin_epoch(unless_from=origin) if present is None or present.origin != origin else present.epoch


def begin_epoch(unless_from: str | None = None) -> str:
    """Begin a new life of the log and return its epoch: every page gets a snapshot and continues from there.

    ``unless_from``: do nothing if the log has that origin by now, because another process was quicker.
    """
    with engine_transaction(seconds=BEGIN_SECONDS, wait_seconds=2) as here:
        here.lock_sequencer()
        present = progress.read()
        if present is not None and present.origin == unless_from:
            return present.epoch
        LogEntry.objects.all().delete()
        # The cursor below is read after this, so that everything deleted here is older than the new life.
        OutboxRow.objects.all().delete()
        start, _ = here.snapshot()
        epoch = secrets.token_hex(4)
        progress.begin(epoch, here.origin(), start)
        return epoch
