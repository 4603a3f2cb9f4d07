"""Form fields of times, which editors enter and read by the clock of a board."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.dates import WEEKDAYS_ABBR
from django.utils.formats import date_format
from django.utils.translation import gettext

from .times import NEVER_SHOWN, TOO_FAR_AWAY, WEEK, days_in_words, in_zone, is_in_reach, is_never
from .zones import zone_named

FORMAT = "%Y-%m-%dT%H:%M"
DAYS = [(day, WEEKDAYS_ABBR[int(day) - 1]) for day in WEEK]


class ZonedTimeField(forms.DateTimeField):
    """A time, entered as the clocks of a zone show it."""

    widget = forms.DateTimeInput({"type": "datetime-local"}, FORMAT)
    zone: ZoneInfo | None = None

    def prepare_value(self, value: Any) -> Any:
        return as_shown(value, self.zone) if isinstance(value, datetime) else value

    def to_python(self, value: Any) -> datetime | None:
        with timezone.override("UTC"):  # in which Django reads a time without an offset
            found = super().to_python(value)
        if found is not None and not _names_a_zone(value):
            found = in_zone(found.replace(tzinfo=None), self.zone or zone_named(""))
        if found is not None and not is_in_reach(found):
            raise ValidationError(TOO_FAR_AWAY)
        return found

    def has_changed(self, initial: Any, data: Any) -> bool:
        # Compare with the shown text: it has no seconds, and is the same for the two hours that a clock repeats.
        return as_shown(initial, self.zone) != str(data or "")


class WeekdaysField(forms.MultipleChoiceField):
    """Days of the week, stored as their numbers: ``12345``."""

    widget = forms.CheckboxSelectMultiple

    def __init__(self, *, max_length: int | None = None, empty_value: str = "", **options: Any) -> None:
        super().__init__(choices=DAYS, **options)

    def clean(self, value: Any) -> Any:
        return "".join(sorted(super().clean(value)))

    def prepare_value(self, value: Any) -> Any:
        return [*value] if isinstance(value, str) else value


def show_by_clock_of(form: Any, board: Any) -> None:
    """Make a form show and read times by a board's clock, without a board by the server's; its help texts say so."""
    show_by_clock(form, board.zone if board else zone_named(""))


def show_by_clock(form: Any, zone: ZoneInfo) -> None:
    """Let the times of a form be those of a zone's clock."""
    timed = [field for field in form.fields.values() if isinstance(field, ZonedTimeField)]
    for field in timed:
        field.zone = zone
    if timed:
        words = getattr(timed[-1], "own_help_text", timed[-1].help_text)
        timed[-1].own_help_text = words  # type: ignore[attr-defined]
        clock = gettext("By the clock of {zone}.").format(zone=zone.key)
        timed[-1].help_text = f"{words} {clock}"


def check_order(form: Any, begins: datetime | None, until: str) -> None:
    """Add an error to a form whose field ``until`` is not after a beginning."""
    if is_never(begins, form.cleaned_data.get(until)):
        form.add_error(until, NEVER_SHOWN)


def _names_a_zone(value: Any) -> bool:
    """Return whether a text has an offset, or a value is a time with a zone already."""
    if isinstance(value, datetime):
        return value.tzinfo is not None
    try:
        found = parse_datetime(str(value).strip())
    except ValueError:
        return False
    return found is not None and found.tzinfo is not None


def as_shown(value: datetime | None, zone: ZoneInfo | None) -> str:
    """Return a time as a field shows it: ``2026-11-26T08:40``."""
    if value is None:
        return ""
    try:
        return value.astimezone(zone or zone_named("")).strftime(FORMAT)
    except OverflowError:
        return value.strftime(FORMAT)


def time_in_words(at: datetime, zone: ZoneInfo) -> str:
    """Return a time as the clocks of a zone show it: ``26 Nov 2026 08:40 CET``; in UTC, if it is too far away."""
    local = at.astimezone(zone) if is_in_reach(at) else at
    return f"{date_format(local, gettext('j M Y H:i'))} {local.tzname()}"


def weekdays_in_words(days: str) -> str:
    return days_in_words(days, WEEKDAYS_ABBR)
