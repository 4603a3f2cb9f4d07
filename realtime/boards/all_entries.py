"""Every change of every entry, the hidden ones included, for the history. Imported if there is one."""

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
