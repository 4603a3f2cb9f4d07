"""Icons of statuses, drawn by hand in squares of 16: rows have them as SVG, in the colour of the text."""

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class Icon:
    """An icon, by what editors call it, and what its ``<path>`` draws; strokes are as wide as 2."""

    label: Any
    path: str


ICONS = {
    "check": Icon(_("Check mark"), "M3 8.5 6.5 12 13 4.5"),
    "cross": Icon(_("Cross"), "M4 4l8 8M12 4l-8 8"),
    "alert": Icon(_("Exclamation mark"), "M8 2.5v7M8 12.5v1"),
    "question": Icon(_("Question mark"), "M5.5 5.5a2.5 2.5 0 1 1 3.6 2.2C8.3 8.2 8 8.7 8 9.8M8 12.8v.7"),
    "clock": Icon(_("Clock"), "M8 4v4l2.5 2.5M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0"),
    "pause": Icon(_("Pause"), "M5.5 4v8M10.5 4v8"),
    "play": Icon(_("Arrow to the right"), "M5 3.5 12 8l-7 4.5z"),
    "up": Icon(_("Arrow up"), "M8 13V3.5M4 7.5l4-4 4 4"),
    "down": Icon(_("Arrow down"), "M8 3v9.5M4 8.5l4 4 4-4"),
    "stop": Icon(_("No entry"), "M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0M5 8h6"),
    "lock": Icon(_("Lock"), "M3.5 7.5h9v6h-9zM5.5 7.5V5a2.5 2.5 0 0 1 5 0v2.5"),
    "star": Icon(_("Star"), "M8 2l1.8 3.9 4.2.5-3.1 2.9.8 4.2L8 11.4l-3.7 2.1.8-4.2L2 6.4l4.2-.5z"),
}
