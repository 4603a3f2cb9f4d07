"""The feeds of viewers' contributions, and of editors at work. Each has a topic for each board."""

from collections.abc import Collection, Hashable, Iterable
from typing import Any

from django.db.models import Q, QuerySet

from realtime.feeds import Feed, register

from ..models import Board, Message, ReactionCount
from ..of_boards import OfVisibleBoards
from .models import State


@register(Message)
class MessageFeed(OfVisibleBoards):
    """Topic messages.<board id>: the messages that an editor has approved, the newest first."""

    name = "messages"
    topic_field = "board_id"
    filter = Q(state=State.SHOWN, board__takes_messages=True)
    depends_on = ["board"]
    fields = ["text", "name", "at"]
    ordering = ["-at"]
    limit = 50
    template_name = "boards/voices/_message.html"

    def get_queryset(self) -> "QuerySet[Message]":
        return super().get_queryset().select_related("board")


class OfEditedBoards(Feed):
    """A feed with a topic for each board, for staff with the right ``right``."""

    right = ""

    def can_subscribe(self, user: Any, key: int) -> bool:
        return self._may(user) and Board.objects.filter(pk=key).exists()

    def visible_topics(self, user: Any, keys: Collection[int]) -> Iterable[int]:
        return Board.objects.filter(pk__in=keys).values_list("pk", flat=True) if self._may(user) else []

    def same_rights(self, user: Any) -> Hashable:
        own: Hashable = user.pk
        return own

    def _may(self, user: Any) -> bool:
        return bool(user.is_active and getattr(user, "is_staff", False) and user.has_perm(self.right))


@register(Message)
class ModerationFeed(OfEditedBoards):
    """Topic moderation.<board id>: the messages that wait for an editor, then those that are shown."""

    name = "moderation"
    right = "boards.change_message"
    topic_field = "board_id"
    filter = ~Q(state=State.HIDDEN)
    fields = ["text", "name", "state", "at"]
    ordering = ["-state", "-at"]
    limit = 200
    template_name = "boards/voices/_moderated.html"


@register(ReactionCount)
class ReactionFeed(OfVisibleBoards):
    """Topic reactions.<board id>: how many viewers have reacted to each entry, and how."""

    name = "reactions"
    topic_field = "board_id"
    filter = Q(number__gt=0)
    fields = ["entry_id", "kind", "number"]


@register(Board)
class ViewersFeed(OfVisibleBoards):
    """Topic viewers.<board id>: no rows that change, but how many follow it: the pages of the board that are open."""

    name = "viewers"
    topic_field = "id"
    filter = Q(shows_viewers=True)
    presence = "count"
    fields = ["slug"]

    def can_subscribe(self, user: Any, key: int) -> bool:
        return Board.objects.visible_to(user).filter(pk=key, shows_viewers=True).exists()

    def visible_topics(self, user: Any, keys: Collection[int]) -> Iterable[int]:
        shown = Board.objects.visible_to(user).filter(pk__in=keys, shows_viewers=True)
        return shown.values_list("pk", flat=True)


@register(Board)
class EditorsFeed(OfEditedBoards):
    """Topic editors.<board id>: broadcasts of a board's editors, each with the entry that one of them edits.

    It has no rows, since each board has an address. See ``other-editors.js``.
    """

    name = "editors"
    right = "boards.change_entry"
    topic_field = "id"
    filter = Q(slug="")
    presence = "names"
    fields = ["slug"]

    def viewer_name(self, user: Any) -> str:
        return str(user.get_full_name() or user.get_username())

    def can_broadcast(self, user: Any, key: Any) -> bool:
        return self._may(user)
