"""Feeds: the declaration that makes a model live: which rows, fields and topics, and which users may read them.

A feed is registered in its app's ``live.py``, which is imported when Django starts. Its consequences are in
``realtime/rows``: names of topics, tables, the rendered rows.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any, Literal, cast

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
    """The values for subscribers of the format ``rows``, besides the ``computed`` methods of the feed: fields,
    properties and methods of the model, ``annotations``, and ``owner__username`` of a row that a foreign key refers
    to."""
    annotations: Mapping[str, Any] = {}
    """Expressions by name, as in ``annotate``, for ``fields``, ``filter``, ``ordering``, the template and methods."""
    filter: models.Q | None = None
    """The condition that live rows meet; by default all rows are live."""
    depends_on: Sequence[str] = ()
    """Relations, named as in ``prefetch_related``, whose rows contribute to a row: ``["author", "tags__group"]``."""
    rights_depend_on: Sequence[type[models.Model]] | None = None
    """The models, except users and groups, whose rows ``can_subscribe`` reads: after a change of such a row, nothing is
    sent before the subscribers' rights were checked again. By default the model that ``topic_field`` refers to, or the
    feed's own where ``topic_field`` is its primary key."""
    ordering: Sequence[str] = ()
    """Field names as in ``order_by``, "-" for descending; the primary key breaks ties."""
    opaque_order: bool = False
    """Whether the order keys that subscribers receive show only the order of the rows, and not the values that
    ``ordering`` names. Each change then reads the touched topics as a whole, and sends each row whose place changes."""
    limit: int | None = None
    """Maximum number of rows of a topic: its first ones in the database's ordering."""
    min_interval: float = 0.0
    """Minimum number of seconds between two messages of a topic; changes in between are sent together."""
    refresh_seconds: float | None = None
    """How often topics are read again; for feeds whose rows depend on the time or on something else that is in no
    table."""
    retention_seconds: float | None = None
    """How long the log keeps changes, for pages that return; by default ``LOG_RETENTION_SECONDS``. Pages that have been
    away for longer get a snapshot."""
    retention_entries: int | None = None
    """How many entries of the feed the log keeps at most, for all topics together."""
    template_name: str | None = None
    """The template of one row, one root element; the row is in its context under the model's name."""
    language: str | None = None
    """The language that rows are rendered in, for all subscribers; by default ``LANGUAGE_CODE``."""
    time_zone: str | None = None
    """The time zone that rows are rendered in, for all subscribers; by default ``TIME_ZONE``."""
    presence: Literal["count", "names"] | None = None
    """What the subscribers of a topic receive about each other: "count" for their number, "names" for their
    ``viewer_name`` too; by default nothing."""

    def can_subscribe(self, user: Any, key: Any) -> bool | Awaitable[bool]:
        """Return whether a user may read a topic; ``key`` is the topic field's value, None without a topic field.

        A subclass may declare it as an async function.
        """
        return bool(user.is_active and getattr(user, "is_staff", False))

    def visible_topics(self, user: Any, keys: Collection[Any]) -> Iterable[Any] | Awaitable[Iterable[Any]]:
        """Return the keys whose topics a user may read. Override it to answer for all keys by one query.

        It is used instead of ``can_subscribe``, unless a subclass declares only ``can_subscribe``. A subclass may
        declare it as an async function.
        """
        return [key for key in keys if may_subscribe(self, user, key)]

    def same_rights(self, user: Any) -> Hashable:
        """Return the value of a user on which its rights depend: users with equal values have the same rights.

        It is ignored where a subclass overrides ``can_subscribe`` or ``visible_topics`` but not this method.
        """
        own: Hashable = user.pk
        return own

    def viewer_name(self, user: Any) -> str:
        """Return a user's name for the other subscribers of a topic; empty if the user is only to be counted.

        Used where ``presence`` is "names", and in the user's broadcasts there. Names have up to 80 characters.
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
            # A join would return a row once for each related row that matches.
            return rows.filter(models.Exists(rows.filter(self.filter, pk=models.OuterRef("pk"))))
        return rows.filter(self.filter)

    def serialize(self, instance: Any) -> dict[str, Any]:
        """Return a row for subscribers of the format ``rows``: values by name.

        Override it for a form of your own; ``super().serialize(instance)`` has the declared values.
        """
        return {value.name: value.read(instance) for value in self.values}

    def _read_for_rights(self) -> Sequence[type[models.Model]] | None:
        # With the default ``can_subscribe`` a right depends on the user alone.
        is_default = type(self).can_subscribe is Feed.can_subscribe and not answers_together(self, Feed)
        return [] if is_default and self.rights_depend_on is None else self.rights_depend_on


registry: Registry[Feed] = Registry()


def register(model: type[models.Model]) -> Callable[[type[Feed]], type[Feed]]:
    """Register the decorated feed for a model.

    A declaration that cannot be used does not prevent the project from starting: the feed is off, the system checks
    report it, and all other feeds are live.
    """
    given: Any = model
    if isinstance(given, type) and issubclass(given, Feed):
        _refuse(
            given,
            f"@register stands above {given.__name__} without a model: write @register(…) with the model",
        )
        # The class that the decorator was called with, without its brackets, stays a class.
        return cast("Callable[[type[Feed]], type[Feed]]", given)

    def decorate(feed_class: type[Feed]) -> type[Feed]:
        declared: Any = feed_class
        if not (isinstance(declared, type) and issubclass(declared, Feed)):
            _refuse(declared, f"{declared.__name__} is no feed: write `class {declared.__name__}(Feed)`")
            return feed_class
        if not (isinstance(given, type) and issubclass(given, models.Model)):
            _refuse(
                feed_class,
                f"@register({model!r}) above {feed_class.__name__} names no model: write the model's class",
            )
            return feed_class
        try:
            registry.add(feed_class(model))
        except ImproperlyConfigured as error:
            name = feed_class.name or f"{model._meta.model_name}s"
            registry.refused[name] = str(error)
            logger.error("%s; this feed is off", error)
        return feed_class

    return decorate


def _refuse(feed_class: type[Feed], words: str) -> None:
    registry.refused[getattr(feed_class, "name", "") or feed_class.__name__] = words
    logger.error("%s; this feed is off", words)
