"""When something is shown: from, until, and on which days of the week, by the clock of its board.

All times are compared in UTC: two of one zone compare as their clocks show them, which is wrong in the hour that comes
twice when clocks are set back.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.utils.formats import date_format
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

WEEK = "1234567"
"""The days of a week as the column ``weekdays`` has them, from Monday."""

YEARS = range(1970, 3000)
"""The years, in UTC, of times that can be entered. Programs can write others, which most zones cannot show."""
FIRST, LAST = (
    datetime(YEARS[0], 1, 1, tzinfo=UTC),
    datetime(YEARS[-1], 12, 31, 23, 59, 59, tzinfo=UTC),
)
TOO_FAR_AWAY = format_lazy(
    _("This time is too far away; enter one of the years {first} to {last}."), first=YEARS[0], last=YEARS[-1]
)
NEVER_SHOWN = _("This is not after “from”, so that it would never be shown; enter a later time.")


@dataclass(frozen=True, slots=True)
class Times:
    """The times of a row. It disappears at the first of its ``ends``; ``days`` without one of ``WEEK`` are all days."""

    zone: ZoneInfo
    begins: datetime | None = None
    ends: tuple[datetime, ...] = ()
    days: str = ""

    @classmethod
    def of(
        cls, zone: ZoneInfo, begins: datetime | None, ends: Iterable[datetime | None], days: str
    ) -> "Times":
        """Return the times; those that are None do not limit when the row is shown."""
        return cls(
            zone,
            in_reach(begins) if begins else None,
            tuple(in_reach(each) for each in ends if each),
            "" if {*WEEK} <= {*days} else "".join(day for day in WEEK if day in days),
        )

    def is_due(self, now: datetime) -> bool:
        """Return whether the row is shown at a time."""
        return self._is_within(now) and (
            not self.days or str(now.astimezone(self.zone).isoweekday()) in self.days
        )

    def _is_within(self, now: datetime) -> bool:
        return (self.begins is None or self.begins <= now) and all(now < end for end in self.ends)

    def next_change(self, now: datetime) -> datetime | None:
        """Return the next time at which ``is_due`` has another result than now; None if there is none."""
        is_due = self.is_due(now)
        moments = sorted(moment for moment in self._moments(now) if moment > now)
        return next((moment for moment in moments if self.is_due(moment) != is_due), None)

    def _moments(self, now: datetime) -> Iterator[datetime]:
        yield from self.ends
        first = now
        if self.begins:
            yield self.begins
            first = max(now, self.begins)
        if self.days:
            today = first.astimezone(self.zone).date()
            for number in range(1, len(WEEK) + 2):
                yield first_moment(today + timedelta(days=number), self.zone)


def is_in_reach(at: datetime) -> bool:
    """Return whether a time is of the years that can be entered."""
    return at.year in YEARS and at.astimezone(UTC).year in YEARS


def in_reach(at: datetime) -> datetime:
    """Return a time in UTC, or instead of one that is too far away the first or the last that is not."""
    if is_in_reach(at):
        return at.astimezone(UTC)
    return FIRST if at.year <= FIRST.year else LAST


def is_never(begins: datetime | None, ends: datetime | None) -> bool:
    """Return whether no time is between a beginning and an end."""
    return begins is not None and ends is not None and ends <= begins


def moved(at: datetime, by: timedelta) -> datetime:
    """Return a time that is later by a duration, whether or not clocks are set meanwhile."""
    return in_reach(at) + by


def first_moment(day: date, zone: ZoneInfo) -> datetime:
    """Return when a day begins, in UTC: also where clocks are set forward at midnight, and it begins at one o'clock."""
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def in_zone(clock: datetime, zone: ZoneInfo) -> datetime:
    """Return, in UTC, the time at which the clocks of a zone show this; the first of two when they are set back.

    Raises: ValidationError, if they never do, because they are set forward over it.
    """
    try:
        found = clock.replace(tzinfo=zone).astimezone(UTC)
        shown = found.astimezone(zone).replace(tzinfo=None)
    except OverflowError as error:
        raise ValidationError(TOO_FAR_AWAY) from error
    if shown != clock:
        raise ValidationError(
            gettext(
                "There is no {time} on {day} in {zone}: "
                "clocks are set forward over it. Enter {other}, or another time."
            ).format(
                time=f"{clock:%H:%M}",
                day=date_format(clock, gettext("j F Y")),
                zone=zone.key,
                other=f"{shown:%H:%M}",
            )
        )
    return found


def days_in_words(days: str, names: Mapping[int, object]) -> str:
    """Return days as they are listed: ``Mon, Tue, Sat``. ``names`` are by number, from 0 for Monday."""
    return ", ".join(str(names[int(day) - 1]) for day in WEEK if day in days)
