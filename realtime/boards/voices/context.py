"""The template context for contributions of viewers on the page of a board."""

from typing import Any

from django.http import HttpRequest

from realtime import presence
from realtime.feeds import registry

from ..models import Board
from .messages import MessageForm
from .reactions import reactables
from .visitors import digest_of, number_of


def viewers_part(request: HttpRequest, board: Board) -> dict[str, Any]:
    """Return the context for the contributions that a board allows; empty if all of them are off."""
    context: dict[str, Any] = {}
    if board.takes_messages:
        context["message_form"] = MessageForm(auto_id="message_%s")
        context["moderates"] = request.user.is_staff and request.user.has_perm("boards.change_message")
    if board.shows_viewers:
        context["watching"] = presence.viewers(registry["viewers"].topic(board.pk))
    if board.kinds:
        number = number_of(request)
        context["reactables"] = reactables(board, digest_of(number) if number else "")
    return context
