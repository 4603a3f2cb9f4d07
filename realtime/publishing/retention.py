"""Retention: how long the log keeps the entries of each feed.

Entries up to the log's edge are deleted for all feeds. Of a feed that keeps fewer entries, the newest one that is no
longer kept is replaced by a reset. A reader with an older position finds this reset, and reads its topic again.
"""

from datetime import timedelta

from django.db.models import Max, Q, QuerySet
from django.db.models.functions import Now

from ..changes import handlers
from ..conf import get_conf
from ..databases.transactions import engine_transaction
from ..feeds import Feed, registry
from ..models import LogEntry
from . import handler_cursors, progress

ENTRIES_LOOKED_AT = 5_000
"""How many of a feed's oldest entries are searched for those that are too old."""
PRUNE_ROWS = 250
"""How many entries one transaction deletes at most: on SQLite the publisher waits for it."""


def longest_seconds() -> float:
    """Return the age up to which any feed keeps its entries: the log's edge follows it."""
    own = [feed.retention_seconds for feed in registry if feed.retention_seconds is not None]
    return max([get_conf().log_retention_seconds, *own])


def prune_feeds() -> int:
    """Delete some entries of feeds that keep fewer than the log does; return how many."""
    longest = longest_seconds()
    concerned = [feed for feed in registry if _seconds(feed) < longest or feed.retention_entries is not None]
    return sum(_prune(feed) for feed in concerned)


def _seconds(feed: Feed) -> float:
    own = feed.retention_seconds
    return get_conf().log_retention_seconds if own is None else own


def _prune(feed: Feed) -> int:
    with engine_transaction():
        sequenced = progress.read()
        last = None if sequenced is None else _last_to_prune(feed, sequenced.epoch)
        if last is None:
            return 0
        before = _of(feed).filter(position__lte=last).order_by("-position", "-id")
        found = list(before.values_list("pk", flat=True)[: PRUNE_ROWS + 1])
        if len(found) < 2:  # only the reset itself, or a single entry, which may stay
            return 0
        mark, *former = found
        # No entry is left if a new log has begun meanwhile: it has other positions, and must not get this reset.
        reset = {"topic": feed.name, "kind": LogEntry.Kind.RESET, "payload": "", "fingerprint": ""}
        if not LogEntry.objects.filter(pk=mark).update(**reset):
            return 0
        return LogEntry.objects.filter(pk__in=former)._raw_delete(before.db)


def _of(feed: Feed) -> QuerySet[LogEntry]:
    """Return the entries of a feed that are changes of its topics."""
    topics = Q(topic=feed.name) | Q(topic__startswith=f"{feed.name}.")
    return LogEntry.objects.filter(topics).exclude(kind=LogEntry.Kind.NOTICE)


def _last_to_prune(feed: Feed, epoch: str) -> int | None:
    """Return the position up to which a feed's entries are too old or too many; None if none are."""
    oldest = _of(feed).order_by("position").values("pk")[:ENTRIES_LOOKED_AT]
    created_before = Now() - timedelta(seconds=_seconds(feed))
    too_old = LogEntry.objects.filter(pk__in=oldest, created_at__lt=created_before)
    found = [too_old.aggregate(newest=Max("position"))["newest"]]
    if feed.retention_entries is not None:
        newest_first = _of(feed).order_by("-position").values_list("position", flat=True)
        found.append(newest_first[feed.retention_entries : feed.retention_entries + 1].first())
    last: int | None = max(filter(None, found), default=None)
    waiting = [handler.name for handler in handlers.values() if handler.feed_name == feed.name]
    handled = handler_cursors.slowest(waiting, epoch)
    if last is not None and handled is not None and handled < last:
        expired = LogEntry.objects.filter(
            pk__in=oldest, created_at__lt=Now() - timedelta(seconds=get_conf().handler_retention_seconds)
        )
        last = max(handled, expired.aggregate(newest=Max("position"))["newest"] or 0)
    return last or None
