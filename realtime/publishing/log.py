"""The log: what changed, per topic and position. Written by the sequencer, read by hubs.

What every round of sequencing asks is SQL here and in ``sequencer.py``: the ORM compiles a query anew each time, which
takes longer than the databases need to answer it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import connections, transaction
from django.db.models import Count, Max, Min
from django.db.models.functions import Now
from django.utils import timezone

from ..conf import get_conf
from ..databases import database
from ..models import LogEntry, OutboxRow, Sequencer
from ..runtime.metrics import Figure
from .positions import probe, read_snapshot, unsequenced

EVERYONE = "*"
"""Topic of a notice to every page."""
ANNOUNCEMENTS = (LogEntry.Kind.NOTICE, LogEntry.Kind.RIGHTS)
"""Kinds of entries that are no changes of a topic, and are heard once by who is there."""
PRUNE_ROWS = 5_000
"""How many rows of a table one transaction drops at most."""


@dataclass(frozen=True, slots=True)
class Tail:
    """What the log has beyond a position: its end, and each touched topic's newest position.

    Units: offsets of ``epoch``. ``offset`` is the database's own position; ``end`` 0 means an empty log.
    """

    epoch: str
    offset: int
    end: int
    newest: dict[str, int]
    announcements: list[LogEntry]


@dataclass(frozen=True, slots=True)
class Missed:
    """The entries of a topic beyond a position; ``is_whole`` False: some of them were pruned."""

    is_whole: bool
    entries: list[LogEntry]


def entries():
    return LogEntry.objects.using(get_conf().database)


def newest(topics: Collection[str]) -> dict[str, int]:
    """Return the position of each topic's newest entry, for topics that have one."""
    if not topics:
        return {}
    marks = ", ".join(["%s"] * len(topics))
    with connections[get_conf().database].cursor() as cursor:
        cursor.execute(
            "SELECT topic, max(position) FROM realtime_logentry "
            f"WHERE topic IN ({marks}) AND kind <> %s GROUP BY topic",
            [*topics, LogEntry.Kind.NOTICE.value],
        )
        return dict(cursor.fetchall())


def append(added: Sequence[LogEntry]) -> None:
    """Add entries, in the caller's transaction."""
    with connections[get_conf().database].cursor() as cursor:
        cursor.executemany(
            'INSERT INTO realtime_logentry (position, topic, kind, "after", begins, payload) '
            "VALUES (%s, %s, %s, %s, %s, %s)",
            [
                (each.position, each.topic, str(each.kind), each.after, each.begins, each.payload)
                for each in added
            ],
        )


def tail(after: int) -> Tail:
    """Return what the log has at positions > ``after``: the floor under every other way of delivery."""
    seen = probe()
    found: dict[str, int] = {}
    announcements: list[LogEntry] = []
    if seen.log_end > after:
        # Not beyond what was seen: what comes between the queries is for the next look, all of it.
        beyond = entries().filter(position__gt=after, position__lte=seen.log_end)
        changed = beyond.exclude(kind__in=ANNOUNCEMENTS).order_by().values_list("topic")
        found = dict(changed.annotate(newest=Max("position")))
        announcements = list(beyond.filter(kind__in=ANNOUNCEMENTS).order_by("id"))
    return Tail(seen.epoch, seen.offset, seen.log_end, found, announcements)


def missed(topic: str, feed: str, after: int) -> Missed:
    """Return a topic's entries at positions > ``after``, oldest first, with those of its whole feed."""
    with read_snapshot():
        state = Sequencer.objects.using(get_conf().database).filter(pk=Sequencer.ROW).only("edge").first()
        found = (
            entries().filter(topic__in={topic, feed}, position__gt=after).exclude(kind=LogEntry.Kind.NOTICE)
        )
        return Missed(state is not None and after >= state.edge, list(found.order_by("position", "id")))


def prune() -> int:
    """Drop what was sequenced from the outbox, and what is too old or too much from the log.

    Returns how many rows. In small steps: on SQLite every writer waits for one.
    """
    pruned = 0
    while True:
        rows, is_done = _prune_some()
        pruned += rows
        if is_done:
            return pruned


def _prune_some() -> tuple[int, bool]:
    """Drop up to ``PRUNE_ROWS`` of either table; return how many, and whether that was all.

    In one transaction with the log's edge: nobody resumes from a place that is gone.
    """
    conf = get_conf()
    with transaction.atomic(using=conf.database):
        state = Sequencer.objects.using(conf.database).select_for_update().filter(pk=Sequencer.ROW).first()
        if state is None:
            return 0, True
        outbox = OutboxRow.objects.using(conf.database).filter(
            state.cursor.seen(database(conf.database).STAMP)
        )
        last = _nth(outbox.order_by("id").values_list("id", flat=True), PRUNE_ROWS)
        pruned = (outbox if last is None else outbox.filter(id__lte=last))._raw_delete(conf.database)

        edge = _edge()
        limit = _nth(entries().order_by("position").values_list("position", flat=True), PRUNE_ROWS)
        is_cut = edge is not None and limit is not None and limit < edge
        if edge is not None:
            edge = limit if is_cut else edge
            pruned += entries().filter(position__lte=edge)._raw_delete(conf.database)
            Sequencer.objects.using(conf.database).filter(pk=Sequencer.ROW).update(edge=edge)
        return pruned, last is None and not is_cut


def _edge() -> int | None:
    """Return the newest position that is to go, None when all may stay."""
    conf = get_conf()
    old = entries().filter(created_at__lt=Now() - timedelta(seconds=conf.log_retention_seconds))
    too_old = old.aggregate(edge=Max("position"))["edge"]
    too_many = _nth(
        entries().order_by("-position").values_list("position", flat=True), conf.log_max_entries + 1
    )
    return max(filter(None, (too_old, too_many)), default=None)


def _nth(values, number: int) -> int | None:
    """Return the value at a place, counted from 1; None when there are fewer."""
    return next(iter(values[number - 1 : number]), None)


def sizes() -> list[Figure]:
    """Return how much outbox and log hold, and how far sequencing has come."""
    using = get_conf().database
    with read_snapshot() as moment:
        state = Sequencer.objects.using(using).filter(pk=Sequencer.ROW).first()
        waiting = unsequenced(state.cursor, moment.cursor).count() if state else 0
        held = entries().aggregate(count=Count("id"), end=Max("position"), oldest=Min("created_at"))
        rows = OutboxRow.objects.using(using).count()
    age = (timezone.now() - held["oldest"]).total_seconds() if held["oldest"] else 0.0
    return [
        Figure("outbox_rows", "Rows that the outbox holds.", rows),
        Figure("outbox_waiting", "Rows of the outbox that are not sequenced yet.", waiting),
        Figure("log_entries", "Entries that the log holds.", held["count"]),
        Figure("log_oldest_seconds", "Age of the log's oldest entry.", max(age, 0.0)),
        Figure("log_end", "Position of the log's newest entry.", held["end"] or 0),
        Figure(
            "sequenced",
            "Position up to which the outbox has been sequenced.",
            state.cursor.offset if state else 0,
        ),
    ]
