"""A feed of all entries, hidden ones too, for the history. It is imported only if there is a history."""

from realtime.changes import on_change
from realtime.feeds import Feed, register

from .history import note
from .models import Entry


@register(Entry)
class AllEntriesFeed(Feed):
    """Topic allentries.<board id>: all entries of one board, for staff."""

    name = "allentries"
    topic_field = "board_id"
    fields = ["label"]


on_change(AllEntriesFeed, name="boards.history", from_start=True, atomic=True)(note)
