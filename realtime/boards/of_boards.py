"""Feeds with a topic for each board: a user may read those of the boards that the user may see."""

from collections.abc import Collection, Hashable, Iterable
from typing import Any

from realtime.feeds import Feed

from .models import Board, BoardLink


class OfVisibleBoards(Feed):
    """A feed with a topic for each board."""

    rights_depend_on = [Board, BoardLink]

    def can_subscribe(self, user: Any, key: int) -> bool:
        return Board.objects.visible_to(user).filter(pk=key).exists()

    def visible_topics(self, user: Any, keys: Collection[int]) -> Iterable[int]:
        return Board.objects.visible_to(user).filter(pk__in=keys).values_list("pk", flat=True)

    def same_rights(self, user: Any) -> Hashable:
        return bool(user.is_active and user.is_staff), getattr(user, "guest", None)
