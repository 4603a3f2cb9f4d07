"""Positions: which snapshot of the database one reads, and reading a topic's rows together with it.

Whoever reads rows for subscribers reads them here or in ``read_snapshot``, so that rows and position
come from one read transaction.
"""

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import connections, transaction
from django.db.models import Max, QuerySet

from ..conf import get_conf
from ..databases import OutboxCursor, Probe, database
from ..engine.messages import Row
from ..engine.position import Position
from ..feeds import registry
from ..models import LogEntry, OutboxRow, Sequencer

__all__ = [
    "Moment", "Probe", "Reading", "begin_epoch", "ensure_epoch", "position_now", "probe", "read_snapshot",
    "read_topic", "unsequenced",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reading:
    """All rows of a topic at one position.

    Units: ``unchanged_since`` is an offset: the topic has had these rows at every position from there on.
    """

    position: Position
    rows: list[Row]
    unchanged_since: int


@dataclass(frozen=True, slots=True)
class Moment:
    """A snapshot of the database; ``epoch`` is empty before the log has begun."""

    cursor: OutboxCursor
    epoch: str

    @property
    def position(self) -> Position:
        return Position(self.epoch, self.cursor.offset)

    @staticmethod
    def is_kept(tables: Iterable[str]) -> bool:
        """Return whether the tables, read before, still were as of the snapshot that is being read."""
        connection = connections[get_conf().database]
        return database(connection.alias).is_snapshot_kept(connection, tables)


@contextmanager
def read_snapshot() -> Iterator[Moment]:
    """Read the database as of one moment: whatever is read inside belongs to the position yielded.

    Never ``atomic()``: that would wait for every writer on SQLite, and see half of what happens on
    PostgreSQL. Inside a transaction of the caller's it is that transaction's view that is read.
    """
    connection = connections[get_conf().database]
    connection.ensure_connection()
    vendor = database(connection.alias)
    if vendor.is_in_transaction(connection):
        yield Moment(*vendor.now_in_transaction(connection))
        return
    with vendor.read_transaction(connection):
        yield Moment(*vendor.now(connection))


def probe() -> Probe:
    """Return where outbox and log stand, in one cheap query."""
    connection = connections[get_conf().database]
    connection.ensure_connection()
    with connection.wrap_database_errors:
        return database(connection.alias).probe(connection)


def position_now() -> Position:
    """Return the position of now; the epoch is empty before the log has begun."""
    seen = probe()
    return Position(seen.epoch, seen.offset)


def unsequenced(since: OutboxCursor, until: OutboxCursor) -> QuerySet[OutboxRow]:
    """Return the outbox rows seen at ``until`` and not at ``since``; to be read in the snapshot ``until``."""
    using = get_conf().database
    return OutboxRow.objects.using(using).filter(since.missing_at(until, database(using).STAMP))


def read_topic(topic: str) -> Reading:
    """Read all rows of a topic, in order, with their position.

    Raises: UnknownTopic.
    """
    feed, key = registry.find(topic)
    while True:
        with read_snapshot() as moment:
            # By our own order, not the database's collation: what is painted first stays where it is.
            rows = sorted(feed.rows(feed.topic_rows(key)), key=lambda row: row.order)
            # Without an epoch the position names nothing, and the snapshot may be the caller's for long.
            if not moment.epoch or moment.is_kept(feed.tables):
                return Reading(moment.position, rows, _unchanged_since(topic, moment))


def _unchanged_since(topic: str, moment: Moment) -> int:
    """Return from which offset on the topic has been what it is at that moment."""
    feed, _ = registry.find(topic)
    using = get_conf().database
    state = _state()
    if state is None:
        return moment.cursor.offset
    waiting = unsequenced(state.cursor, moment.cursor)
    if waiting.filter(source__in=feed.tables).exists():
        return moment.cursor.offset
    entries = LogEntry.objects.using(using).filter(topic__in={topic, feed.name})
    latest = entries.exclude(kind=LogEntry.Kind.NOTICE).aggregate(latest=Max("position"))["latest"]
    return max(state.edge, latest or 0)


# ---------------------------------------------------------------- the log's life


def ensure_epoch() -> str:
    """Return the log's epoch; begin a new one where there is none or where positions may repeat."""
    connection = connections[get_conf().database]
    origin = database(connection.alias).origin(connection)
    state = _state()
    return begin_epoch(unless_from=origin) if state is None or state.origin != origin else state.epoch


def begin_epoch(unless_from: str | None = None) -> str:
    """Begin a new life of the log: every page takes a snapshot and goes on from there.

    ``unless_from``: not if the log rests on that origin by now; another process was quicker.
    """
    connection = connections[get_conf().database]
    vendor = database(connection.alias)
    with transaction.atomic(using=connection.alias):
        vendor.lock_sequencer(connection)
        state = _state()
        if state is not None and state.origin == unless_from:
            return state.epoch
        LogEntry.objects.using(connection.alias).all().delete()
        # What is deleted here is seen by the moment after it, from which the new life counts.
        OutboxRow.objects.using(connection.alias).all().delete()
        now, _ = vendor.now(connection)
        epoch = secrets.token_hex(4)
        Sequencer.objects.using(connection.alias).update_or_create(
            pk=Sequencer.ROW,
            defaults={
                "epoch": epoch,
                "origin": vendor.origin(connection),
                "next": now.next,
                "open": list(now.open),
                "edge": now.offset,
            },
        )
        return epoch


def _state() -> Sequencer | None:
    return Sequencer.objects.using(get_conf().database).filter(pk=Sequencer.ROW).first()
