"""The log: what changed, per topic and position. Written by the sequencer, read by hubs."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Now

from .conf import get_conf
from .databases import database
from .models import LogEntry, OutboxRow, Sequencer
from .positions import probe, read_snapshot

EVERYONE = "*"
"""Topic of a notice to every page."""


@dataclass(frozen=True, slots=True)
class Tail:
    """What the log has beyond a position: its end, and each touched topic's newest position.

    Units: offsets of ``epoch``. ``offset`` is the database's own position; ``end`` 0 means an empty log.
    """

    epoch: str
    offset: int
    end: int
    newest: dict[str, int]
    notices: list[LogEntry]


@dataclass(frozen=True, slots=True)
class Missed:
    """The entries of a topic beyond a position; ``is_whole`` False: some of them were pruned."""

    is_whole: bool
    entries: list[LogEntry]


def entries():
    return LogEntry.objects.using(get_conf().database)


def newest(topics: Iterable[str]) -> dict[str, int]:
    """Return the position of each topic's newest entry, for topics that have one."""
    found = entries().filter(topic__in=list(topics)).exclude(kind=LogEntry.Kind.NOTICE)
    return dict(found.order_by().values_list("topic").annotate(newest=Max("position")))


def tail(after: int) -> Tail:
    """Return what the log has at positions > ``after``: the floor under every other way of delivery."""
    seen = probe()
    found: dict[str, int] = {}
    notices: list[LogEntry] = []
    if seen.log_end > after:
        # Not beyond what was seen: what comes between the queries is for the next look, all of it.
        beyond = entries().filter(position__gt=after, position__lte=seen.log_end)
        changed = beyond.exclude(kind=LogEntry.Kind.NOTICE).order_by().values_list("topic")
        found = dict(changed.annotate(newest=Max("position")))
        notices = list(beyond.filter(kind=LogEntry.Kind.NOTICE).order_by("id"))
    return Tail(seen.epoch, seen.offset, seen.log_end, found, notices)


def missed(topic: str, feed: str, after: int) -> Missed:
    """Return a topic's entries at positions > ``after``, oldest first, with those of its whole feed."""
    with read_snapshot():
        state = Sequencer.objects.using(get_conf().database).filter(pk=Sequencer.ROW).only("edge").first()
        found = (
            entries().filter(topic__in={topic, feed}, position__gt=after).exclude(kind=LogEntry.Kind.NOTICE)
        )
        return Missed(state is not None and after >= state.edge, list(found.order_by("position", "id")))


def prune() -> int:
    """Drop what was sequenced from the outbox and what is too old from the log; return how many rows.

    In one transaction with the log's edge: nobody resumes from a place that is gone.
    """
    conf = get_conf()
    outbox = OutboxRow.objects.using(conf.database)
    with transaction.atomic(using=conf.database):
        state = Sequencer.objects.using(conf.database).select_for_update().filter(pk=Sequencer.ROW).first()
        if state is None:
            return 0
        sequenced = state.cursor.seen(database(conf.database).STAMP)
        pruned = outbox.filter(sequenced)._raw_delete(conf.database)
        old = entries().filter(created_at__lt=Now() - timedelta(seconds=conf.log_retention_seconds))
        edge = old.aggregate(edge=Max("position"))["edge"]
        if edge is not None:
            pruned += entries().filter(position__lte=edge)._raw_delete(conf.database)
            Sequencer.objects.using(conf.database).filter(pk=Sequencer.ROW).update(edge=edge)
        return pruned
