"""Whether and when an entry is shown, in words for editors."""

from typing import Any

from django.utils.translation import gettext as _

from .due import HAS_TIMES
from .models import Board, Entry
from .time_fields import time_in_words, weekdays_in_words

LISTED = 50


def not_shown(board: Board) -> list[dict[str, Any]]:
    """Return the entries of a board that are not shown now because of their times, the next to appear first."""
    entries = board.entries.filter(HAS_TIMES, is_visible=True, is_due=False)
    waiting = entries.filter(next_change__isnull=False).order_by("next_change")[:LISTED]
    over = entries.filter(next_change=None).order_by("-pk")[:LISTED]
    return [{"entry": entry, "words": shown_in_words(entry)} for entry in [*waiting, *over][:LISTED]]


def shown_in_words(entry: Entry) -> str:
    """Return whether an entry is shown now, and until or from when: ``not before 26 Nov 08:40 CET``."""
    if not entry.is_visible:
        return _("no, it is hidden")
    days = _(", on {days} only").format(days=weekdays_in_words(entry.weekdays)) if entry.weekdays else ""
    when = ""
    if entry.next_change:
        when = time_in_words(entry.next_change, entry.board.zone)
    if entry.is_due is False:
        return _("not before {time}").format(time=when) + days if when else _("no, its time is over")
    return (_("until {time}").format(time=when) if when else _("yes")) + days
