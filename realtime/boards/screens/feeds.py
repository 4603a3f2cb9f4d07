"""The feeds of screens: the orders of each, for its own page alone, and the list of all for the desk."""

from collections.abc import Collection, Hashable, Iterable
from typing import Any

from django.db.models import Q

from realtime.feeds import Feed, register

from .models import Screen


@register(Screen)
class ScreenFeed(Feed):
    """Topic screens.<secret>: the orders of one screen. Its page has the secret, and any client that has it may follow.

    The topic is empty while the screen waits for its code.
    """

    name = "screens"
    topic_field = "topic"
    filter = ~Q(name="")
    depends_on = ["then"]
    rights_depend_on = [Screen]
    fields = ["name", "shows"]
    template_name = "boards/_screen.html"

    def can_subscribe(self, user: Any, key: str) -> bool:
        return Screen.objects.filter(topic=key).exists()

    def visible_topics(self, user: Any, keys: Collection[str]) -> Iterable[str]:
        return Screen.objects.filter(topic__in=keys).values_list("topic", flat=True)

    def same_rights(self, user: Any) -> Hashable:
        return True


@register(Screen)
class ScreenListFeed(Feed):
    """Topic screenlist: all paired screens, for staff; pages follow only that something has changed."""

    name = "screenlist"
    filter = ~Q(name="")
    depends_on = ["board"]
    fields = ["name", "is_online"]
