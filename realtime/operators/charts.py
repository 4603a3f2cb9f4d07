"""Charts: the samples of a process as lines of an SVG, and in words."""

from collections.abc import Sequence
from typing import NamedTuple

from django.utils.formats import number_format

WIDTH, HEIGHT = 120, 28
"""The size of the drawing, in its own units."""
FLOOR_SECONDS = 0.1
"""The lowest top of a chart: a line that varies by milliseconds lies at its bottom."""


class Chart(NamedTuple):
    """A line over time, its newest point at the right."""

    lines: list[str]
    """The points of each part without a gap, as SVG has them."""
    now: str
    highest: str

    width: int = WIDTH
    height: int = HEIGHT


def chart_of(values: Sequence[float | None], places: int) -> Chart:
    """Return the chart of some seconds; it has room for ``places`` values, and gaps where there is none."""
    known = [value for value in values if value is not None]
    top = max([FLOOR_SECONDS, *known])
    lines: list[list[str]] = [[]]
    for place, value in enumerate(values, places - len(values)):
        if value is None:
            lines.append([])
        else:
            x = WIDTH * place / max(places - 1, 1)
            lines[-1].append(f"{x:.1f},{1 + (HEIGHT - 2) * (1 - value / top):.1f}")
    # A point alone is drawn as a line of no length, with round ends.
    parts = [" ".join(line if len(line) > 1 else line * 2) for line in lines if line]
    return Chart(parts, seconds(known[-1]) if known else "", seconds(max(known)) if known else "")


def seconds(value: float) -> str:
    """Return seconds as people read them: 40 ms, 1.2 s, 3 min, 5 h, 2 d."""
    if value < 0.9995:
        return f"{1000 * value:.0f} ms"
    if value < 9.95:
        return f"{number_format(round(value, 1), 1)} s"
    if value < 99.5:
        return f"{value:.0f} s"
    if value < 99.5 * 60:
        return f"{value / 60:.0f} min"
    return f"{value / 3600:.0f} h" if value < 48 * 3600 else f"{value / 86400:.0f} d"
