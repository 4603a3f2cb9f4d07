"""Endless queries: of a feed, of its rights, of an action and of a job."""

from typing import Any

from realtime.actions import action, everyone
from realtime.boards.models import Board
from realtime.feeds import Feed, register
from realtime.schedule import every

from .queries import hang


class Stuck(Feed):
    fields = ["title"]

    def can_subscribe(self, user: Any, key: Any) -> bool:
        return True


@register(Board)
class StuckRows(Stuck):
    """Its rows cannot be read."""

    name = "stuck_rows"

    def get_queryset(self) -> Any:
        hang()
        return super().get_queryset()


@register(Board)
class StuckRights(Stuck):
    """Its rights cannot be checked."""

    name = "stuck_rights"

    def can_subscribe(self, user: Any, key: Any) -> bool:
        hang()
        return True


@action("hang", permission=everyone)
def hang_in_an_action(user: Any, data: dict[str, Any]) -> None:
    """An action that does not end."""
    hang()


@every(seconds=1)
def hang_in_a_job() -> None:
    """A job that does not end."""
    hang()
