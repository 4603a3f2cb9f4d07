"""One topic that everyone may read: groups."""

from django.contrib.auth.models import Group

from realtime.feeds import Feed, register


@register(Group)
class GroupFeed(Feed):
    fields = ["name"]

    def can_subscribe(self, user: object, key: None) -> bool:
        return True
