"""Readings of all entries of boards that have charts, by any writer; limited by age and number."""

from datetime import timedelta

from django.db.models import F, QuerySet, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from realtime.changes import Change

from ..models import Board, Entry
from .models import Reading
from .numbers import number_of

KEPT = 2000
"""Readings of an entry that are kept at most."""


def note(change: Change) -> None:
    """Store the value of an entry that has changed, if it is a number other than the previous one."""
    if change.op == "reset":
        return
    entry = Entry.objects.filter(pk=int(change.key), board__chart_days__gt=0).first()
    value = number_of(entry.value) if entry else None
    if entry is None or value is None:
        return
    last = Reading.objects.filter(entry=entry.pk).order_by("-at", "-pk").first()
    if last is None or last.value != value:
        Reading.objects.create(entry=entry.pk, value=value)


def remove_old() -> None:
    """Remove readings that are too old, too many, or of entries that no longer exist."""
    now = timezone.now()
    kept: set[int] = set()
    for board in Board.objects.filter(chart_days__gt=0):
        entries = {*board.entries.values_list("pk", flat=True)}
        kept |= entries
        remove(Reading.objects.filter(entry__in=entries, at__lt=now - timedelta(days=board.chart_days or 0)))
    remove(Reading.objects.exclude(entry__in=kept))
    rank = Window(RowNumber(), partition_by=F("entry"), order_by=[F("at").desc(), F("pk").desc()])
    remove(Reading.objects.annotate(rank=rank).filter(rank__gt=KEPT))


def remove(readings: QuerySet[Reading]) -> None:
    """Delete readings, a few hundred in a statement: databases limit the parameters, and writers wait meanwhile."""
    keys = [*readings.values_list("pk", flat=True)]
    for start in range(0, len(keys), 500):
        Reading.objects.filter(pk__in=keys[start : start + 500]).delete()
