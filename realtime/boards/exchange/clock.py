"""Times and days of the week in cells: by the clock of the board; a written time is read as the same time."""

import re
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from ..time_fields import ZonedTimeField
from ..times import WEEK, is_in_reach

NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
OFFSET = re.compile(r":.*(z|[+-]\d\d(:?\d\d)?)$", re.IGNORECASE)
GERMAN = ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag")
ENGLISH = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
DAYS = {
    word.casefold(): day
    for names in (ENGLISH, GERMAN)
    for name, day in zip(names, WEEK, strict=True)
    for word in (name, name[:3], name[:2] if names is GERMAN else name)
}
"""The number of the day for each of its names and abbreviations."""


def time_of(text: str, zone: ZoneInfo) -> datetime | None:
    """Return the time that a cell has, in a zone; None if it is empty.

    Raises: ValidationError, also if the clocks of the zone never show it, or show it twice and it has no offset.
    """
    field = ZonedTimeField(required=False)
    field.zone = zone
    found = field.clean(text)
    if found is None:
        return None
    shown: datetime = found.astimezone(zone)
    if is_shown_twice(shown) and not OFFSET.search(text):
        both = " or ".join(shown.replace(fold=fold).isoformat(" ", "minutes") for fold in (0, 1))
        raise ValidationError(
            _("Clocks are set back then, and show {time} twice. Write {both}.").format(time=text, both=both)
        )
    return shown


def is_shown_twice(shown: datetime) -> bool:
    """Return whether a clock shows a time twice, because it is set back."""
    first, second = (shown.replace(fold=fold).utcoffset() for fold in (0, 1))
    return first != second


def time_in_words(value: datetime, zone: tzinfo | None) -> str:
    """Return a time as files have it: ``2026-11-26 18:45``, with an offset if the clock shows it twice."""
    if not is_in_reach(value):
        return value.isoformat(" ")
    shown = value.astimezone(zone)
    exact = "microseconds" if shown.microsecond else "seconds" if shown.second else "minutes"
    return (shown if is_shown_twice(shown) else shown.replace(tzinfo=None)).isoformat(" ", exact)


def days_of(text: str) -> str:
    """Return the days that a cell has by names or numbers, as the column has them: ``12345``.

    Raises: ValidationError.
    """
    found = set()
    for word in re.split(r"[\s,;.+/]+", text.casefold()):
        if set(word) <= {*WEEK}:
            found |= {*word}
        elif word in DAYS:
            found.add(DAYS[word])
        else:
            raise ValidationError(
                _("“{word}” is not a day of the week. Write {days}, or their numbers from 1.").format(
                    word=word, days=", ".join(NAMES)
                )
            )
    return "".join(sorted(found))


def days_in_words(days: str) -> str:
    """Return days as files have them: ``Mon, Tue``."""
    return ", ".join(NAMES[int(day) - 1] for day in WEEK if day in days)


def comparable(field: str, value: object) -> object:
    """Return a value so that two are equal if they are the same time, or the same days of the week."""
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return (
        "".join(day for day in WEEK if day in value)
        if field == "weekdays" and isinstance(value, str)
        else value
    )
