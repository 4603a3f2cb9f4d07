"""Feeds of all boards and of all entries, hidden ones too, for the history, charts and the times of entries. They are
imported only if the history is on.
"""

from realtime.changes import Change, on_change
from realtime.feeds import Feed, register

from .charts import recording
from .due import TIMES, renew_entry
from .history import note, note_board
from .models import Board, Entry


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


@register(Board)
class AllBoardsFeed(Feed):
    """Topic allboards: all boards, for staff."""

    name = "allboards"
    depends_on = ["statuses"]
    fields = ["title"]


@on_change(AllBoardsFeed, name="boards.history_of_boards", from_start=True, atomic=True)
def follow_board(change: Change) -> None:
    """Record a change of a board itself, or of its statuses, in its history."""
    note_board(change)
