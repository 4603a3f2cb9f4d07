"""The charts of a board: a small one for each entry, a page with a larger one, and its readings as CSV."""

import csv
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Window
from django.db.models.functions import RowNumber
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from realtime.feeds import registry

from ..models import Board, Entry
from .drawing import Point, chart, extent, number
from .models import Reading

HOURS = {1: _("1 hour"), 24: _("1 day"), 168: _("1 week"), 720: _("30 days")}
SMALL_POINTS = 200
TABLE_ROWS = 100


@dataclass(frozen=True, slots=True)
class SmallChart:
    """The chart of the last day of an entry, on its board."""

    entry: Entry
    drawn: SafeString


def entries_of(board: Board) -> Any:
    """Return the entries that the board shows now."""
    return registry["entries"].get_queryset().filter(board_id=board.pk)


def small_charts(board: Board) -> list[SmallChart]:
    """Return the charts of the entries whose values were numbers, in the order of the board."""
    if not board.chart_days:
        return []
    now = timezone.now()
    begins = now - timedelta(days=1)
    entries = [*entries_of(board).order_by("position", "pk")]
    points: dict[int, list[Point]] = {}
    # The database selects them: few are drawn of the thousands of readings that a page would otherwise load.
    newest = Window(RowNumber(), partition_by=F("entry"), order_by=[F("at").desc(), F("pk").desc()])
    readings = Reading.objects.filter(entry__in=[entry.pk for entry in entries], at__gte=begins)
    drawn = readings.annotate(newest=newest).filter(newest__lte=SMALL_POINTS).order_by("at", "pk")
    for key, at, value in drawn.values_list("entry", "at", "value"):
        points.setdefault(key, []).append((at, value))
    found = [(entry, points[entry.pk]) for entry in entries if entry.pk in points]
    return [
        SmallChart(entry, chart(each, extent(each, begins, now), in_words(entry, each), 120, 32))
        for entry, each in found
    ]


def points_of(entry: Entry, begins: datetime) -> list[Point]:
    """Return the readings of an entry from a time on, with the value that it had at that time."""
    readings = Reading.objects.filter(entry=entry.pk)
    before = readings.filter(at__lt=begins).order_by("-at", "-pk").first()
    after = [*readings.filter(at__gte=begins).order_by("at", "pk").values_list("at", "value")]
    return [(begins, before.value), *after] if before else after


def in_words(entry: Entry, points: list[Point]) -> str:
    """Return ``Load: now 0.4, between 0.1 and 2.3``."""
    values = [value for _, value in points]
    if not values:
        return gettext("{label}: no readings").format(label=entry.label)
    unit = f" {entry.unit}" if entry.unit else ""
    now, low, high = (number(value) for value in (values[-1], min(values), max(values)))
    return gettext("{label}: now {now}, between {low} and {high}").format(
        label=entry.label, now=now + unit, low=low, high=high
    )


def found(request: HttpRequest, slug: str, key: int) -> tuple[Board, Entry]:
    """Return a board with charts, and one of the entries that it shows.

    Raises: Http404.
    """
    board = get_object_or_404(Board.objects.visible_to(request.user), slug=slug, chart_days__gt=0)
    entry = entries_of(board).filter(pk=key).first()
    if entry is None:
        raise Http404
    return board, entry


def large(request: HttpRequest, slug: str, key: int) -> HttpResponse:
    """Show the readings of an entry over an hour, a day, a week or a month, as a chart and a table."""
    board, entry = found(request, slug, key)
    asked = request.GET.get("hours", "")
    hours = int(asked) if asked in map(str, HOURS) else 24
    now = timezone.now()
    begins = now - timedelta(hours=hours)
    points = points_of(entry, begins)
    shown = extent(points, begins, now)
    context = {
        "board": board,
        "entry": entry,
        "hours": hours,
        "ranges": HOURS,
        "shown": shown,
        "low": number(shown.low),
        "high": number(shown.high),
        "words": in_words(entry, points),
        "drawn": chart(points, shown, in_words(entry, points), 900, 300) if points else "",
        "rows": [(at, number(value)) for at, value in points[: -TABLE_ROWS - 1 : -1]],
    }
    return render(request, "boards/chart.html", context)


def download(request: HttpRequest, slug: str, key: int) -> HttpResponse:
    """Return all readings of an entry as CSV: times in UTC, and numbers."""
    _, entry = found(request, slug, key)
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="readings-{entry.pk}.csv"'
    rows = csv.writer(response)
    rows.writerow(["at", "value"])
    for at, value in Reading.objects.filter(entry=entry.pk).order_by("at", "pk").values_list("at", "value"):
        rows.writerow([at.isoformat(), repr(value)])
    return response
