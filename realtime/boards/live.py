"""The feeds of boards and entries, and which users may subscribe to them."""

from typing import Any

from django.db.models import Q, QuerySet

from realtime.feeds import Feed, register

from .due import IS_SHOWN
from .models import Board, Entry, Notice
from .of_boards import OfVisibleBoards
from .screens import feeds as screens  # noqa: F401  # registers its feeds
from .voices import feeds as voices  # noqa: F401  # registers its feeds


@register(Entry)
class EntryFeed(OfVisibleBoards):
    """Topic entries.<board id>: the entries of one board that are shown now, as its editor has them sorted."""

    name = "entries"
    topic_field = "board_id"
    filter = IS_SHOWN
    fields = ["label", "value", "unit", "status", "note", "at", "rank", "position", "updated"]
    ordering = ["rank", "position"]
    template_name = "boards/_entry.html"


@register(Notice.boards.through)
class NoticeFeed(OfVisibleBoards):
    """Topic notices.<board id>: the notices that are shown on one board."""

    name = "notices"
    topic_field = "board_id"
    filter = Q(notice__is_shown=True)
    depends_on = ["notice", "board"]
    fields = ["notice__text", "notice__level", "notice__shows_until"]
    template_name = "boards/_notice.html"

    def get_queryset(self) -> "QuerySet[Any]":
        return super().get_queryset().select_related("notice", "board")


@register(Board)
class BoardFeed(OfVisibleBoards):
    """Topic board.<id>: the heading of one board, a single row. It has the headings of the columns, too, as data: in
    the table, where rows of another topic are, static/boards/headings.js writes them.
    """

    name = "board"
    topic_field = "id"
    depends_on = ["organisation"]
    fields = ["slug", "title", "description", "organisation__name"]
    template_name = "boards/_board_heading.html"


@register(Board)
class PublicBoardFeed(Feed):
    """Topic boards: the public boards."""

    name = "boards"
    filter = Q(is_public=True)
    fields = ["slug", "title", "description", "position"]
    ordering = ["position"]
    template_name = "boards/_board_card.html"

    def can_subscribe(self, user: Any, key: None) -> bool:
        return True


@register(Board)
class StaffBoardFeed(Feed):
    """Topic staffboards: all other boards. A feed without can_subscribe is for staff only."""

    name = "staffboards"
    filter = Q(is_public=False)
    fields = ["slug", "title", "description", "position"]
    ordering = ["position"]
    template_name = "boards/_board_card.html"
