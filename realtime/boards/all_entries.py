"""A feed of all entries, hidden ones too, for the history, charts and the times of entries. It is imported only if the
history is on.
"""

from realtime.changes import Change, on_change
from realtime.feeds import Feed, register

from .charts import recording
from .due import TIMES, renew_entry
from .history import note
from .models import Entry


@register(Entry)
class AllEntriesFeed(Feed):
    """Topic allentries.<board id>: all entries of one board, for staff."""

    name = "allentries"
    topic_field = "board_id"
    fields = ["label", *TIMES]


@on_change(AllEntriesFeed, name="boards.history", from_start=True, atomic=True)
def follow(change: Change) -> None:
    """Record a change in the history and for charts, and renew when its entry is shown."""
    note(change)
    renew_entry(change)
    recording.note(change)
