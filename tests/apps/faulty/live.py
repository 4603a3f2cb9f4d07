"""The feeds, some of which fail or are slow, in every process at once, while a file exists."""

import random
from typing import Any

from django.db import connections, models
from django.db.backends.signals import connection_created
from django.db.models import Q

from realtime.conf import get_conf
from realtime.feeds import Feed, register

from . import queries
from .models import Crate, Item, Parcel, Pulse, Reading
from .switches import FAILING_FILE, SLOW_FILE, is_next_release, number_in

connection_created.connect(queries.add_pause)


class PublicFeed(Feed):
    def can_subscribe(self, user: Any, key: Any) -> bool:
        return True


@register(Item)
class ItemFeed(PublicFeed):
    """Topic items.<shelf>: some of the rows cannot be read, rendered, or be in any topic."""

    topic_field = "shelf"
    fields = ["name", "words"]
    ordering = ["name"]
    template_name = "faulty/_item.html"


@register(Item)
class ErraticFeed(PublicFeed):
    """Topic erratics: its queryset raises an exception, always or at random."""

    name = "erratics"
    fields = ["name", "words"]
    template_name = "faulty/_item.html"

    def get_queryset(self) -> "models.QuerySet[Any]":
        if random.random() < number_in(FAILING_FILE):
            raise RuntimeError("the queryset of erratics fails")
        return Item.objects.filter(shelf="a")


@register(Item)
class SlowFeed(PublicFeed):
    """Topic slows: its query takes seconds."""

    name = "slows"
    fields = ["name", "words"]
    template_name = "faulty/_item.html"

    def get_queryset(self) -> "models.QuerySet[Any]":
        rows = Item.objects.filter(shelf="b")
        seconds = number_in(SLOW_FILE)
        pause = queries.pause(connections[get_conf().database].vendor, seconds)
        return rows.extra(where=[pause]) if seconds else rows


@register(Crate)
class CrateFeed(PublicFeed):
    fields = ["label"]
    ordering = ["label"]


@register(Reading)
class ReadingFeed(PublicFeed):
    fields = ["sector", "level"]
    ordering = ["sector"]


@register(Pulse)
class PulseFeed(PublicFeed):
    fields = ["number"]


if is_next_release():

    @register(Parcel)
    class ParcelFeed(PublicFeed):
        """The next release: split by another field, with another filter and ordering."""

        topic_field = "floor"
        filter = Q(weight__lt=80)
        fields = ["label", "weight"]
        ordering = ["-weight"]

else:

    @register(Parcel)
    class ParcelFeed(PublicFeed):  # type: ignore[no-redef]
        """This release."""

        topic_field = "shelf"
        filter = Q(weight__lt=50)
        fields = ["label", "weight"]
        ordering = ["label"]
