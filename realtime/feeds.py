"""Feeds: the declaration that makes a model live: which rows, fields and topics, and which users may read them.

A feed is registered in its app's ``live.py``, which is imported when Django starts. What the declaration implies is in
``realtime/rows``: names of topics, tables, the rendered rows.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any, Literal

from django.core.exceptions import ImproperlyConfigured
from django.db import models

from .rows.feed_rows import FeedRows
from .rows.registry import Registry
from .rows.values import computed
from .rows.visibility import answers_together, may_subscribe

__all__ = ["Feed", "computed", "register"]

logger = logging.getLogger("realtime.feeds")


class Feed(FeedRows):
    """Makes the rows of one model live. Subclass it and ``@register`` it for the model.

    A feed has one topic, its ``name``; with ``topic_field`` it has one per value of that column,
    ``<name>.<value>``. Only staff may read it, unless ``can_subscribe`` is overridden.
    """

    name: str = ""
    """The feed's name in topics; by default the model's name with an s."""
    model: type[models.Model]
    topic_field: str | None = None
    """The column of the model's own table that splits the feed into topics."""
    fields: Sequence[str] = ()
    """What subscribers of the format ``rows`` receive, besides the ``computed`` methods of the feed: fields, properties
    and methods of the model, ``annotations``, and ``owner__username`` of a row that a foreign key refers to."""
    annotations: Mapping[str, Any] = {}
    """Expressions by name, as in ``annotate``, for ``fields``, ``filter``, ``ordering``, the template and methods."""
    filter: models.Q | None = None
    """Which rows are live; by default all of them."""
    depends_on: Sequence[str] = ()
    """Relations, as in ``prefetch_related``, whose rows a row is computed from: ``["author", "tags__group"]``."""
    rights_depend_on: Sequence[type[models.Model]] | None = None
    """The models whose rows ``can_subscribe`` reads, users and groups aside: after a change of one, nothing is sent
    before the subscribers' rights were asked again. By default the model that ``topic_field`` refers to, or the
    feed's own where ``topic_field`` is its primary key."""
    ordering: Sequence[str] = ()
    """Field names as in ``order_by``, "-" for descending; the primary key breaks ties."""
    opaque_order: bool = False
    """Whether the order keys that subscribers receive say only which row comes first, and nothing of the values that
    ``ordering`` names. Each change then reads the touched topics as a whole, and sends each row whose place changes."""
    limit: int | None = None
    """Maximum number of rows of a topic: its first ones in the database's ordering."""
    min_interval: float = 0.0
    """Minimum number of seconds between two messages of a topic; changes in between are sent together."""
    refresh_seconds: float | None = None
    """How often topics are read again, where the time or something else that no table holds decides on their rows."""
    retention_seconds: float | None = None
    """How long the log keeps changes, for pages that return; by default ``LOG_RETENTION_SECONDS``. Pages that have been
    away for longer get a snapshot."""
    retention_entries: int | None = None
    """How many entries the log keeps at most, of all topics together."""
    template_name: str | None = None
    """The template of one row, one root element; the row is in its context under the model's name."""
    language: str | None = None
    """The language that rows are rendered in, for all subscribers; by default ``LANGUAGE_CODE``."""
    time_zone: str | None = None
    """The time zone that rows are rendered in, for all subscribers; by default ``TIME_ZONE``."""
    presence: Literal["count", "names"] | None = None
    """What the subscribers of a topic are told about each other: how many there are, or also their ``viewer_name``; by
    default nothing."""

    def can_subscribe(self, user: Any, key: Any) -> bool | Awaitable[bool]:
        """Return whether a user may read a topic; ``key`` is the topic field's value, None without a topic field.

        A subclass may declare it as an async function.
        """
        return bool(user.is_active and getattr(user, "is_staff", False))

    def visible_topics(self, user: Any, keys: Collection[Any]) -> Iterable[Any] | Awaitable[Iterable[Any]]:
        """Return those of the keys whose topics a user may read; the place to answer for all of them by one query.

        It decides in place of ``can_subscribe``, unless a subclass declares only that. A subclass may declare it as an
        async function.
        """
        return [key for key in keys if may_subscribe(self, user, key)]

    def same_rights(self, user: Any) -> Hashable:
        """Return what of a user its rights depend on; of users with equal values the feed is asked about one only.

        It is ignored where a subclass overrides ``can_subscribe`` or ``visible_topics`` without it.
        """
        own: Hashable = user.pk
        return own

    def viewer_name(self, user: Any) -> str:
        """Return the name by which the other subscribers of a topic know a user, empty for none: it is only counted.

        Used where ``presence`` is "names", and for what the user broadcasts there. Names have up to 80 characters.
        """
        return str(user.get_username())

    def can_broadcast(self, user: Any, key: Any) -> bool | Awaitable[bool]:
        """Return whether a user who follows a topic may send short messages to its other subscribers.

        A subclass may declare it as an async function.
        """
        return False

    def get_queryset(self) -> "models.QuerySet[Any]":
        """Return the rows of all topics; the place for ``select_related``."""
        rows: models.QuerySet[Any] = self.model._default_manager.annotate(**self.annotations)
        if self.filter is None:
            return rows
        if self.depends_on:
            # A join would return a row once per related row that matches.
            return rows.filter(models.Exists(rows.filter(self.filter, pk=models.OuterRef("pk"))))
        return rows.filter(self.filter)

    def serialize(self, instance: Any) -> dict[str, Any]:
        """Return what subscribers of the format ``rows`` receive of a row: values by name.

        Override it for a form of your own; ``super().serialize(instance)`` has the declared values.
        """
        return {value.name: value.read(instance) for value in self.values}

    def _read_for_rights(self) -> Sequence[type[models.Model]] | None:
        # Whether a user may read a feed with the default ``can_subscribe`` depends on the user alone.
        is_default = type(self).can_subscribe is Feed.can_subscribe and not answers_together(self, Feed)
        return [] if is_default and self.rights_depend_on is None else self.rights_depend_on


registry: Registry[Feed] = Registry()


def register(model: type[models.Model]) -> Callable[[type[Feed]], type[Feed]]:
    """Register the decorated feed for a model.

    A declaration that cannot be used does not keep the project from starting: the feed is off, which the
    system checks report, and all others are live.
    """

    def decorate(feed_class: type[Feed]) -> type[Feed]:
        try:
            registry.add(feed_class(model))
        except ImproperlyConfigured as error:
            name = feed_class.name or f"{model._meta.model_name}s"
            registry.refused[name] = str(error)
            logger.error("%s; this feed is off", error)
        return feed_class

    return decorate
