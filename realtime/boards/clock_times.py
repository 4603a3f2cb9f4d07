"""A time as rows show it: by the clock of their board, in its language.

Rows are made by the thousand. Django's filter ``date`` takes several times as long for the same text.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from django.utils import translation
from django.utils.dateformat import format as formatted
from django.utils.translation import gettext


@dataclass(frozen=True, slots=True)
class ClockTime:
    """A time on the clock of a zone, and its words."""

    local: datetime
    words: str

    @classmethod
    def of(cls, at: datetime, zone: ZoneInfo, language: str, words: str) -> "ClockTime":
        """Return a time as a zone shows it; ``words`` is a format of Django's filter ``date``, to be translated.

        Raises: OverflowError, if the zone cannot show it: it is too far away.
        """
        second = at.astimezone(UTC).replace(microsecond=0)
        return cls(at.astimezone(zone), _in_words(second, zone, language, words))

    @property
    def iso(self) -> str:
        """``2026-11-27T08:40:00.123456+01:00``"""
        return self.local.isoformat()

    @property
    def iso_second(self) -> str:
        """``2026-11-27T08:40:00+0100``"""
        text = self.local.isoformat(timespec="seconds")
        return text[:22] + text[23:25]  # an offset of before time zones has seconds, too


@lru_cache(maxsize=5000)
def _in_words(second: datetime, zone: ZoneInfo, language: str, words: str) -> str:
    """Return a time in words; rows that are written together have it in common."""
    with translation.override(language):
        return formatted(second.astimezone(zone), gettext(words))
