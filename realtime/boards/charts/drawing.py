"""Charts as SVG: a line that keeps each value until the next one. Colours are those of the style sheet."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.html import format_html
from django.utils.safestring import SafeString

Point = tuple[datetime, float]


@dataclass(frozen=True, slots=True)
class Extent:
    """The range of a chart: from when until when, and between which values."""

    begins: datetime
    ends: datetime
    low: float
    high: float


def extent(points: Sequence[Point], begins: datetime, ends: datetime) -> Extent:
    """Return the extent of points in a period; a level line lies in the middle."""
    values = [value for _, value in points] or [0.0]
    low, high = min(values), max(values)
    if low == high:
        margin = abs(low) / 2 or 1.0
        low, high = low - margin, high + margin
    return Extent(begins, ends, low, high)


def number(value: float) -> str:
    """Return a number as people write it: without zeros at its end, and without an exponent if it is not huge."""
    return f"{value:.10g}"


def line(points: Sequence[Point], shown: Extent, width: int, height: int) -> str:
    """Return the corners of the line, as the attribute ``points`` has them."""
    seconds = max(1.0, (shown.ends - shown.begins).total_seconds())
    corners: list[str] = []
    level: float | None = None
    for at, value in points:
        x = width * min(1.0, max(0.0, (at - shown.begins).total_seconds() / seconds))
        y = height * (1 - (value - shown.low) / (shown.high - shown.low))
        if level is not None:
            corners.append(f"{x:.1f},{level:.1f}")
        corners.append(f"{x:.1f},{y:.1f}")
        level = y
    if level is not None:
        corners.append(f"{width},{level:.1f}")
    return " ".join(corners)


def chart(points: Sequence[Point], shown: Extent, words: str, width: int, height: int) -> SafeString:
    """Return a chart, with a text alternative for screen readers."""
    return format_html(
        '<svg class="chart" viewBox="0 -4 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<polyline points="{}" vector-effect="non-scaling-stroke"/></svg>',
        width, height + 8, words, line(points, shown, width, height),
    )  # fmt: skip
