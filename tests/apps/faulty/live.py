"""Their feeds. A file in ``VAR_DIR`` makes those of some topics fail or slow, in every process at once."""

import os
import random
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connections, models
from django.db.backends.signals import connection_created
from django.db.models import Q

from realtime.conf import get_conf
from realtime.feeds import Feed, register

from . import queries
from .models import Crate, Item, Parcel, Pulse, Reading

FAILING_FILE = "failing"
"""Holds the share of its queries, from 0 to 1, in which the feed ``erratics`` fails."""
SLOW_FILE = "slow"
"""Holds the number of seconds that a query of the feed ``slows`` takes."""
NEXT_RELEASE = "next"

connection_created.connect(queries.add_pause)


class PublicFeed(Feed):
    def can_subscribe(self, user: Any, key: Any) -> bool:
        return True


@register(Item)
class ItemFeed(PublicFeed):
    """Topic items.<shelf>: some of the rows cannot be read, rendered, or be in any topic."""

    topic_field = "shelf"
    fields = ["name"]
    ordering = ["name"]
    template_name = "faulty/_item.html"


@register(Item)
class ErraticFeed(PublicFeed):
    """Topic erratics: its queryset raises an exception, always or at random."""

    name = "erratics"
    fields = ["name"]

    def get_queryset(self) -> "models.QuerySet[Any]":
        if random.random() < number_in(FAILING_FILE):
            raise RuntimeError("the queryset of erratics fails")
        return Item.objects.filter(shelf="a")


@register(Item)
class SlowFeed(PublicFeed):
    """Topic slows: its query takes seconds."""

    name = "slows"
    fields = ["name"]

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


if os.environ.get("RELEASE") == NEXT_RELEASE:

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


def number_in(name: str) -> float:
    """Return the number in a file of ``VAR_DIR``, 0 if there is no such file."""
    try:
        return float((Path(settings.VAR_DIR) / name).read_text())
    except (FileNotFoundError, ValueError):
        return 0.0
