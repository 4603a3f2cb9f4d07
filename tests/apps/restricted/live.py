"""The entries of a board, for users who have the permission to view entries."""

from typing import Any

from realtime.boards.models import Entry
from realtime.feeds import Feed, register


@register(Entry)
class GuardedFeed(Feed):
    """Topic guarded.<board id>."""

    name = "guarded"
    topic_field = "board_id"
    fields = ["label", "value"]

    def can_subscribe(self, user: Any, key: int) -> bool:
        return user.has_perm("boards.view_entry")
