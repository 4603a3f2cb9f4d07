"""The log: changes by topic and position. Written by the sequencer, read by hubs.

Queries of every round of sequencing are SQL here and in ``heads.py``, ``progress.py`` and ``sequencer.py``: the ORM
compiles a query anew each time, which takes longer than the databases need to answer it.
"""

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import F, Max, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from ..changes import handlers
from ..conf import get_conf
from ..databases.registry import database
from ..databases.transactions import engine_transaction
from ..engine.position import Position
from ..feeds import registry
from ..models import LogEntry, OutboxRow, SecondsNow, Sequencer
from ..runtime.metrics import Figure
from . import handler_cursors, outbox_records, progress, retention
from .heads import newest as newest
from .positions import probe, read_snapshot, unsequenced

EVERYONE = "*"
"""Topic of a notice to every page."""
WITH_ROWS = (LogEntry.Kind.CHANGES, LogEntry.Kind.RIGHTS)
"""Kinds of entries whose payload is the changes of a topic."""
_ANNOUNCEMENTS = Q(kind=LogEntry.Kind.NOTICE) | Q(kind=LogEntry.Kind.RIGHTS, topic=EVERYONE)
EDGE_ROWS = 5_000
"""How many of the oldest entries are searched for those that are too old."""
APPEND_ROWS = 500
"""How many entries one statement adds at most: databases limit the parameters of a statement."""
APPEND_CHARACTERS = 4 * 1024 * 1024
"""How much payload one statement adds at most, unless a single entry has more."""
PRUNE_ROWS = 250
"""How many rows of a table one transaction deletes at most: on SQLite the publisher waits for it."""
MAX_COUNTED = 100_000
"""Up to how many rows of a table metrics count: counting a million takes a second."""


@dataclass(frozen=True, slots=True)
class Tail:
    """The part of the log after a position: its end, and the newest position of each changed topic.

    Units: offsets of ``epoch``. ``offset`` is the database's own position; ``end`` 0 means an empty log;
           entries up to ``edge`` may have been pruned; later ones than those here are beyond ``sequenced``;
           ``waiting_seconds`` is the age of the oldest committed change that is not sequenced, 0 if there is none.
    """

    epoch: str
    offset: int
    end: int
    newest: dict[str, int]
    announcements: list[LogEntry]
    waiting_seconds: float = 0.0
    edge: int = 0
    sequenced: int = 0

    def continues(self, known: Position) -> bool:
        """Return whether this is the log of a position that was read before."""
        return self.epoch == known.epoch and known.offset <= self.offset


@dataclass(frozen=True, slots=True)
class Missed:
    """The entries of a topic after a position; if not ``is_whole``, some of them were pruned."""

    is_whole: bool
    entries: list[LogEntry]


@dataclass(frozen=True, slots=True)
class Heads:
    """How far topics must be to have the rows of ``position`` or later ones.

    Shape: ``newest`` has the offset of the newest entry of each topic and feed that has one; None if the log lacks
           changes that ``position`` sees.
    """

    position: Position
    newest: dict[str, int] | None

    def are_reached_by(self, topic: str, position: Position) -> bool:
        """Return whether a topic that has all its entries up to ``position`` has the rows of these heads."""
        if position.covers(self.position):
            return True
        if self.newest is None:
            return False
        newest = max(self.newest.get(name, 0) for name in (topic, topic.partition(".")[0]))
        return position.covers(Position(self.position.epoch, newest))


def of_this_release() -> QuerySet[LogEntry]:
    """Return the entries without the resets that are meant for other releases alone."""
    fingerprints = [feed.fingerprint for feed in registry]
    return LogEntry.objects.exclude(kind=LogEntry.Kind.RESET, fingerprint__in=fingerprints)


def is_announcement(entry: LogEntry) -> bool:
    """Return whether an entry is an announcement: no change of a topic, but delivered once to open connections."""
    return entry.kind == LogEntry.Kind.NOTICE or (
        entry.kind == LogEntry.Kind.RIGHTS and entry.topic == EVERYONE
    )


def append(added: Sequence[LogEntry]) -> None:
    """Add entries, in the caller's transaction.

    By ``execute``: psycopg sends ``executemany`` as a pipeline, in which no time-out of the server runs.
    """
    with database().connection.cursor() as cursor:
        for some in _in_parts(added):
            cursor.execute(
                'INSERT INTO realtime_logentry (position, topic, kind, "after", begins, payload, fingerprint, format) '
                "VALUES " + ", ".join(["(%s, %s, %s, %s, %s, %s, %s, %s)"] * len(some)),
                [
                    value
                    for each in some
                    for value in (
                        each.position, each.topic, str(each.kind), each.after, each.begins, each.payload,
                        each.fingerprint, each.format,
                    )
                ],
            )  # fmt: skip


def _in_parts(entries: Sequence[LogEntry]) -> Iterator[list[LogEntry]]:
    """Yield the entries in groups, each for one statement."""
    part: list[LogEntry] = []
    size = 0
    for entry in entries:
        if part and (len(part) == APPEND_ROWS or size + len(entry.payload) > APPEND_CHARACTERS):
            yield part
            part, size = [], 0
        part.append(entry)
        size += len(entry.payload)
    if part:
        yield part


def tail(after: int) -> Tail:
    """Return the tail of the log after a position; hubs read it regularly, to find entries that the layer has lost."""
    seen = probe()
    found: dict[str, int] = {}
    announcements: list[LogEntry] = []
    if seen.log_end > after:
        # Not beyond the end just probed: all entries added between the queries are left to the next call.
        beyond = LogEntry.objects.filter(position__gt=after, position__lte=seen.log_end)
        changed = of_this_release().filter(position__gt=after, position__lte=seen.log_end)
        changed = changed.exclude(_ANNOUNCEMENTS).order_by()
        found = dict(changed.values_list("topic").annotate(newest=Max("position")))
        announcements = list(beyond.filter(_ANNOUNCEMENTS).order_by("id"))
    waiting = waiting_seconds() if seen.is_waiting or not seen.epoch else 0.0
    sequenced = progress.read()
    edge = sequenced.edge if sequenced is not None and sequenced.epoch == seen.epoch else 0
    return Tail(seen.epoch, seen.offset, seen.log_end, found, announcements, waiting, edge, seen.sequenced)


def announced_since(moment: float, end: int) -> list[LogEntry]:
    """Return the announcements up to ``end`` that were sequenced after a moment, oldest first.

    Units: the moment is one of ``time.monotonic``. Entries have the time of the database, in milliseconds, which is
           read just before that of this process: some from shortly before the moment may be among them.
    """
    now = LogEntry.objects.values_list(Now(), flat=True).first()
    if now is None:
        return []
    age = timedelta(seconds=time.monotonic() - moment, milliseconds=1)
    recent = LogEntry.objects.filter(_ANNOUNCEMENTS, position__lte=end, created_at__gte=now - age)
    return list(recent.order_by("id"))


def heads(topics: Collection[str], at: Position | None = None) -> Heads:
    """Return the heads of topics at a position that the database has reached, by default at the current one."""
    seen = probe()
    position = at or Position(seen.epoch, seen.offset)
    if seen.is_waiting and seen.sequenced < position.offset:
        return Heads(position, None)
    return Heads(position, newest({name for topic in topics for name in (topic, topic.partition(".")[0])}))


def waiting_seconds() -> float:
    """Return the age, by the database's clock, of the oldest committed change that is not sequenced; 0 without one.

    Before the log has begun, and after a crash has emptied it, that is every change in the outbox.
    """
    with read_snapshot() as moment:
        sequenced = progress.read()
        everything = OutboxRow.objects.all()
        waiting = unsequenced(sequenced.cursor, moment.cursor) if sequenced is not None else everything
        # Ordered by the stamp, which is indexed, not by the time: there may be many rows.
        oldest = waiting.order_by(moment.database.STAMP)
        return outbox_records.seconds(oldest.values_list(SecondsNow() - F("written_at"), flat=True).first())


def missed(topic: str, feed: str, after: int) -> Missed:
    """Return a topic's entries at positions > ``after``, oldest first, with those of its whole feed."""
    return missed_of(feed, [(topic, after)])[topic, after]


def missed_of(feed: str, asked: Collection[tuple[str, int]]) -> dict[tuple[str, int], Missed]:
    """Return the entries that topics of a feed, each given with its position, have missed; by one query."""
    oldest = min(after for _, after in asked)
    conditions = [Q(topic=topic, position__gt=after) for topic, after in asked]
    with read_snapshot():
        sequenced = progress.read()
        found = of_this_release().filter(reduce(or_, conditions, Q(topic=feed, position__gt=oldest)))
        entries = list(found.exclude(kind=LogEntry.Kind.NOTICE).order_by("position", "id"))
    for entry in entries:
        entry.written_at = entry.created_at.timestamp()
    return {
        (topic, after): Missed(
            sequenced is not None and after >= sequenced.edge,
            [entry for entry in entries if entry.topic in (topic, feed) and entry.position > after],
        )
        for topic, after in asked
    }


def prune() -> int:
    """Delete sequenced rows from the outbox, and entries that are too old or too many from the log.

    Returns how many rows were deleted.
    """
    pruned = 0
    while True:
        rows, is_more = _prune_some()
        pruned += rows
        if not is_more:
            return pruned


def prune_step() -> bool:
    """Do one small step of pruning; return whether there is more to delete."""
    _, is_more = _prune_some()
    return is_more


def _prune_some() -> tuple[int, bool]:
    """Delete up to ``PRUNE_ROWS`` of either table; return how many, and whether there may be more.

    Entries up to the log's edge are deleted. The edge moves before entries are deleted, so that no reader resumes from
    a deleted position, and only when none is left before it: finding the next edge takes longer than a step.
    """
    outbox, entries = _prune_outbox(), _prune_log()
    of_feeds = 0 if PRUNE_ROWS in (outbox, entries) else retention.prune_feeds()
    is_more = PRUNE_ROWS in (outbox, entries) or of_feeds > 0 or _move_edge()
    return outbox + entries + of_feeds, is_more


def _prune_outbox() -> int:
    with engine_transaction() as here:
        sequenced = progress.read()
        if sequenced is None:
            return 0
        seen = OutboxRow.objects.filter(sequenced.cursor.seen(here.STAMP)).order_by(here.STAMP)
        return OutboxRow.objects.filter(pk__in=seen.values("pk")[:PRUNE_ROWS])._raw_delete(here.alias)


def _prune_log() -> int:
    """Delete some of the entries up to the edge, by one statement: an edge of another epoch is never used."""
    with engine_transaction() as here, here.connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM realtime_logentry WHERE id IN (SELECT id FROM realtime_logentry "
            "WHERE position <= (SELECT edge FROM realtime_sequencer WHERE id = %s) ORDER BY position LIMIT %s)",
            [Sequencer.ROW, PRUNE_ROWS],
        )
        return int(cursor.rowcount)


def _move_edge() -> bool:
    """Move the edge to the newest position that is to be deleted; return whether there is one after it.

    Among the oldest entries only: however long the log is, this takes no longer, and the next call goes on.
    """
    conf = get_conf()
    with engine_transaction():
        sequenced = progress.read()
        if sequenced is None:
            return False
        too_old = _newest_older_than(retention.longest_seconds())
        slowest = handler_cursors.slowest(list(handlers), sequenced.epoch)
        if slowest is not None and too_old is not None and too_old > slowest:
            too_old = max(slowest, _newest_older_than(conf.handler_retention_seconds) or 0)
        too_many = None
        if _span("pk") >= conf.log_max_entries:
            newest_first = LogEntry.objects.order_by("-position").values_list("position", flat=True)
            too_many = _nth(newest_first, conf.log_max_entries + 1)
        edge = max(filter(None, (too_old, too_many)), default=0)
        return edge > sequenced.edge and progress.move_edge(sequenced.epoch, edge)


def _newest_older_than(seconds: float) -> int | None:
    """Return the newest position of that age among the log's oldest entries; None if there is none."""
    entries = LogEntry.objects.filter(created_at__lt=Now() - timedelta(seconds=seconds))
    last = _nth(LogEntry.objects.order_by("position").values_list("position", flat=True), EDGE_ROWS)
    if last is not None:
        entries = entries.filter(position__lte=last)
    newest: int | None = entries.aggregate(newest=Max("position"))["newest"]
    return newest


def _span(field: str) -> int:
    """Return the difference between a field's largest and smallest value; two queries, each one step in an index."""
    values = LogEntry.objects.values_list(field, flat=True)
    first = values.order_by(field).first()
    return 0 if first is None else values.order_by(f"-{field}")[0] - first


def _nth(values: QuerySet[Any, int], number: int) -> int | None:
    """Return the value at a place, counted from 1; None when there are fewer."""
    return next(iter(values[number - 1 : number]), None)


def _count(rows: QuerySet[Any]) -> int:
    """Return how many there are, up to ``MAX_COUNTED``."""
    return rows.order_by()[:MAX_COUNTED].count()


def sizes() -> list[Figure]:
    """Return how much outbox and log hold, and how far the outbox has been sequenced."""
    with read_snapshot() as moment:
        sequenced = progress.read()
        waiting = _count(unsequenced(sequenced.cursor, moment.cursor)) if sequenced else 0
        entries, rows = _count(LogEntry.objects.all()), _count(OutboxRow.objects.all())
        by_position = LogEntry.objects.order_by("position")
        oldest_entry, end = by_position.first(), by_position.values_list("position", flat=True).last()
    oldest = waiting_seconds() if waiting else 0.0
    since = progress.seconds_since_success()
    age = (timezone.now() - oldest_entry.created_at).total_seconds() if oldest_entry else 0.0
    return [
        Figure("outbox_rows", "Rows in the outbox.", rows),
        Figure("outbox_waiting", "Rows in the outbox that are not sequenced yet.", waiting),
        Figure("outbox_oldest_seconds", "Age of the oldest change that is not sequenced.", oldest),
        Figure("log_entries", "Entries in the log.", entries),
        Figure("log_oldest_seconds", "Age of the log's oldest entry.", max(age, 0.0)),
        Figure("log_end", "Position of the log's newest entry.", end or 0),
        Figure(
            "sequenced",
            "Position up to which the outbox has been sequenced.",
            sequenced.cursor.offset if sequenced else 0,
        ),
        *(
            []
            if since is None
            else [
                Figure(
                    "publisher_age_seconds",
                    "Seconds since any process last sequenced, or found nothing to sequence.",
                    since,
                )
            ]
        ),
    ]
