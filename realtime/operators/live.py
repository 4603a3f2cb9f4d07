"""The feed by which the page of operators is live: it is fetched again when a process has reported."""

from typing import Any

from ..feeds import Feed, register
from ..models import ProcessReport
from .reports import FEED

PERMISSION = "realtime.operate"


def may_operate(user: Any) -> bool:
    """Return whether a user may watch processes, and close or reload connections."""
    return bool(user.is_active and getattr(user, "is_staff", False) and user.has_perm(PERMISSION))


@register(ProcessReport)
class ProcessesFeed(Feed):
    """Topic ``realtime_processes``: processes have reported; the reports themselves are only in the page."""

    name = FEED
    fields = ["reported_at"]
    ordering = ["name"]

    def can_subscribe(self, user: Any, key: Any) -> bool:
        return may_operate(user)
