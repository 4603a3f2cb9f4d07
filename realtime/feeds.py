"""Feeds: the declaration that makes a model live. Which rows, which fields, which topics, who may read.

A feed is registered beside its models, in the app's ``live.py``, which is imported when Django starts.
"""

import logging
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured, ValidationError
from django.db import models
from django.template.loader import get_template
from django.utils.functional import cached_property
from django.utils.html import escape

from .conf import get_conf
from .databases.registry import database
from .dependencies import dependencies
from .engine.errors import UnknownTopic
from .engine.messages import Row, encode_value
from .engine.order import sort_key

logger = logging.getLogger("realtime.feeds")

MAX_ROW_BYTES = 256 * 1024
MAX_INTERVAL_SECONDS = 60
_ROOT_ELEMENT = re.compile(r"\s*(?:<!--.*?-->\s*)*<[A-Za-z][\w-]*", re.DOTALL)
_LEGAL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Feed:
    """Makes the rows of one model live. Subclass it and ``@register`` it for the model.

    A feed has one topic, its ``name``; with ``topic_field`` it has one per value of that column,
    ``<name>.<value>``. Unless ``can_subscribe`` says otherwise only staff may read: closed by default.
    """

    name: str = ""
    """The feed's name in topics; left out: the model's name with an s."""
    model: type[models.Model]
    topic_field: str | None = None
    """The column of the model's own table that splits the feed into topics."""
    fields: Sequence[str] = ()
    """What subscribers of the format ``rows`` get of a row."""
    filter: models.Q | None = None
    depends_on: Sequence[str] = ()
    """Relations, as in ``prefetch_related``, whose rows a row is computed from: ``["author", "tags__group"]``."""
    ordering: Sequence[str] = ()
    """Field names as in ``order_by``, "-" for descending; the primary key settles ties."""
    limit: int | None = None
    """How many rows a topic has at most: its first ones in the database's ordering."""
    min_interval: float = 0.0
    """Seconds between two messages of a topic at least; what changes in between comes together, the latest state."""
    template_name: str | None = None
    """The template of one row, one root element; it gets the row under the model's name."""

    def __init__(self, model: type[models.Model]) -> None:
        self.model = model
        self.name = self.name or f"{model._meta.model_name}s"
        if not _LEGAL_NAME.fullmatch(self.name):
            raise ImproperlyConfigured(f"feed name {self.name!r}: use letters, digits, - and _, up to 64")
        try:
            self._topic_column = model._meta.get_field(self.topic_field) if self.topic_field else None
            for name in self.fields:
                model._meta.get_field(name)
            self._dependencies = dependencies(model, self.depends_on)
        except FieldDoesNotExist as error:
            raise ImproperlyConfigured(f"feed {self.name!r}: {error}") from error
        if self._topic_column not in (None, *model._meta.concrete_model._meta.local_fields):
            raise ImproperlyConfigured(
                f"feed {self.name!r}: {self.topic_field} is a column of {self._topic_column.model.__name__}'s table; "
                f"split by one of {model.__name__}'s own"
            )
        if self.limit is not None and not (type(self.limit) is int and self.limit > 0):
            raise ImproperlyConfigured(
                f"feed {self.name!r}: limit {self.limit!r}: use a whole number above 0"
            )
        if not (
            isinstance(self.min_interval, int | float) and 0 <= self.min_interval <= MAX_INTERVAL_SECONDS
        ):
            raise ImproperlyConfigured(
                f"feed {self.name!r}: min_interval {self.min_interval!r}: use seconds, "
                f"from 0 to {MAX_INTERVAL_SECONDS}"
            )
        for column in filter(None, [self._topic_column, model._meta.pk]):
            if isinstance(column, models.BinaryField):
                raise ImproperlyConfigured(
                    f"feed {self.name!r}: {column.name} is binary and cannot name a row"
                )

    # ------------------------------------------------------------ yours to override

    def can_subscribe(self, user: Any, key: Any) -> bool:
        """Return whether a user may read a topic; ``key`` is the topic field's value, None without one."""
        return bool(user.is_active and user.is_staff)

    def get_queryset(self) -> models.QuerySet:
        """Return the rows of all topics; the place for ``select_related``."""
        rows = self.model._default_manager.all()
        if self.filter is None:
            return rows
        if self.depends_on:
            # A row that its filter finds by several related rows is still one.
            found = self.model._default_manager.filter(self.filter, pk=models.OuterRef("pk"))
            return rows.filter(models.Exists(found))
        return rows.filter(self.filter)

    # ------------------------------------------------------------ tables

    @cached_property
    def sources(self) -> dict[type[models.Model], list[models.Field]]:
        """The models in whose tables the rows have their contents, and what must be known of a change there."""
        own = [self.model._meta.pk, *filter(None, [self._topic_column])]
        sources = {self.model._meta.concrete_model: own}
        for dependency in self._dependencies:
            sources.setdefault(dependency.model, []).append(dependency.column)
        return sources

    @cached_property
    def tables(self) -> set[str]:
        """The names of these tables."""
        return {model._meta.db_table for model in self.sources}

    def touched(
        self, images: Mapping[str, Sequence[dict[str, Any]]], at_most: int
    ) -> dict[Any, set[str]] | None:
        """Return the rows that a change touches, by primary key: for each the topics it was in and is in.

        ``images`` are those captured, by table. None when more than ``at_most`` rows are touched.
        """
        touched: dict[Any, set[str]] = defaultdict(set)
        for image in images.get(self.model._meta.db_table, ()):
            key, topic = self.identify(image)
            touched[key].update(() if topic is None else [topic])
        topic_columns = [self._topic_column.attname] if self._topic_column is not None else []
        everywhere = self.model._base_manager.using(get_conf().database).order_by()
        for dependency in self._dependencies:
            values = {
                self._from_database(dependency.column, image) for image in images.get(dependency.table, ())
            } - {None}
            if not values:
                continue
            # With those that the filter hides: they may have left it just now.
            rows = everywhere.filter(**{f"{dependency.lookup}__in": values}).values_list("pk", *topic_columns)
            for key, *topic_key in rows.distinct()[: at_most + 1]:
                touched[key].update([] if topic_key == [None] else [self.topic(*topic_key)])
        return touched if len(touched) <= at_most else None

    # ------------------------------------------------------------ topics

    def topic(self, key: Any = None) -> str:
        """Return the name of the topic with that key."""
        return f"{self.name}.{key}" if self._topic_column is not None else self.name

    def topic_of(self, instance: models.Model) -> str | None:
        """Return the topic an instance belongs to; None when its topic field is empty."""
        if self._topic_column is None:
            return self.name
        key = getattr(instance, self._topic_column.attname)
        return None if key is None else self.topic(key)

    def parse_key(self, text: str) -> Any:
        """Return the key in the second half of a topic's name.

        Raises: ValidationError, when the topic field cannot hold it.
        """
        assert self._topic_column is not None
        key = self._topic_column.to_python(text)
        if isinstance(key, int) and not -(2**63) <= key < 2**63:
            raise ValidationError(f"{text[:80]} is no 64-bit integer")
        return key

    def identify(self, image: dict[str, Any]) -> tuple[Any, str | None]:
        """Return the primary key of a captured row, and the topic it was in, None when in none."""
        key = self._from_database(self.model._meta.pk, image)
        if self._topic_column is None:
            return key, self.name
        topic_key = self._from_database(self._topic_column, image)
        return key, None if topic_key is None else self.topic(topic_key)

    def _from_database(self, column: models.Field, image: dict[str, Any]) -> Any:
        """Return a captured column as an instance would have it: converted as Django converts what it reads."""
        connection = database().connection
        expression = column.get_col(column.model._meta.db_table)
        value = image[column.column]
        for convert in connection.ops.get_db_converters(expression) + expression.get_db_converters(
            connection
        ):
            value = convert(value, expression, connection)
        return column.to_python(value)

    def live_rows(self) -> models.QuerySet:
        """Return the rows of all topics, from the database whose positions they are read with."""
        return self.get_queryset().using(get_conf().database)

    def topic_rows(self, key: Any) -> models.QuerySet:
        """Return the rows of one topic, in order, no more than ``limit``."""
        rows = self.live_rows()
        if self._topic_column is not None:
            rows = rows.filter(**{self._topic_column.attname: key})
        return rows.order_by(*self.ordering, "pk")[: self.limit]

    # ------------------------------------------------------------ rows

    def rows(self, instances: Iterable[models.Model]) -> list[Row]:
        """Return the instances as subscribers see them, without those too large to be sent."""
        return [row for row in map(self.row, instances) if row is not None]

    def row(self, instance: models.Model) -> Row | None:
        """Return one instance as subscribers see it; None when it is over ``MAX_ROW_BYTES``."""
        key = str(instance.pk)
        order = self._order(instance)
        fields = {name: getattr(instance, _attname(self.model, name)) for name in self.fields}
        encoded = encode_value(fields, str)  # what has no JSON of its own (files, lazy texts) is its text
        html = self.render(instance, key, order) if self.template_name else None
        row_bytes = len(encoded) + len(msgspec.json.encode(html))
        if row_bytes > MAX_ROW_BYTES:
            logger.error(
                "feed %s leaves out row %r: it takes %d bytes, of %d that are sent; take large fields out of it",
                self.name, key, row_bytes, MAX_ROW_BYTES,
            )  # fmt: skip
            return None
        return Row(key, order, msgspec.Raw(encoded), msgspec.UNSET if html is None else html)

    def render(self, instance: models.Model, key: str, order: str) -> str:
        """Return the row's HTML, its root element marked with key and order.

        It knows no request and no viewer: what one may not see, no one gets.
        """
        assert self.template_name is not None
        html = get_template(self.template_name).render({self.model._meta.model_name: instance}).strip()
        root = _ROOT_ELEMENT.match(html)
        if root is None:
            raise ImproperlyConfigured(f"{self.template_name} must render one element, it gave {html[:60]!r}")
        marks = f' data-key="{escape(key)}" data-order="{escape(order)}"'
        return html[: root.end()] + marks + html[root.end() :]

    def _order(self, instance: models.Model) -> str:
        pairs = [(_follow(instance, name.lstrip("-")), name.startswith("-")) for name in self.ordering]
        return sort_key([*pairs, (instance.pk, False)])


def _attname(model: type[models.Model], name: str) -> str:
    """Return where an instance keeps a field's own value: the key of a relation, not the related row."""
    return model._meta.get_field(name).attname


def _follow(instance: Any, path: str) -> Any:
    """Return ``author__name`` of an instance."""
    for name in path.split("__"):
        if instance is None:
            return None
        instance = instance.pk if name == "pk" else getattr(instance, name)
    return instance.pk if isinstance(instance, models.Model) else instance


class Registry:
    """All feeds by name; one for the whole project: ``registry``."""

    def __init__(self) -> None:
        self._feeds: dict[str, Feed] = {}

    def add(self, feed: Feed) -> None:
        present = self._feeds.get(feed.name)
        if present is not None and type(present).__qualname__ != type(feed).__qualname__:
            raise ImproperlyConfigured(
                f"two feeds are called {feed.name!r}: {type(present).__name__} and {type(feed).__name__}; "
                "give one of them another name"
            )
        self._feeds[feed.name] = feed

    def remove(self, name: str) -> None:
        self._feeds.pop(name, None)

    def __iter__(self):
        return iter(self._feeds.values())

    def __getitem__(self, name: str) -> Feed:
        return self._feeds[name]

    def __contains__(self, name: str) -> bool:
        return name in self._feeds

    def find(self, topic: str) -> tuple[Feed, Any]:
        """Return the feed and the key that a topic's name stands for.

        Raises: UnknownTopic. Every topic has exactly one name: ``entries.07`` is not ``entries.7``.
        """
        name, _, text = topic.partition(".")
        feed = self._feeds.get(name)
        if feed is None or len(topic) > 200:
            raise UnknownTopic(topic)
        try:
            key = feed.parse_key(text) if feed.topic_field else None
        except (ValidationError, ValueError, OverflowError) as error:
            raise UnknownTopic(topic) from error
        if feed.topic(key) != topic:
            raise UnknownTopic(topic)
        return feed, key


registry = Registry()


def register(model: type[models.Model]) -> Callable[[type[Feed]], type[Feed]]:
    """Make a model live as the decorated feed says."""

    def decorate(feed_class: type[Feed]) -> type[Feed]:
        registry.add(feed_class(model))
        return feed_class

    return decorate


def topics_in_use(limit: int = 100) -> list[str]:
    """Return the topics that have rows now, per feed ``limit`` at most: for people to choose from."""
    topics: list[str] = []
    for feed in registry:
        if feed.topic_field is None:
            topics.append(feed.name)
        else:
            keys = feed.live_rows().order_by().values_list(feed.topic_field, flat=True).distinct()
            topics += [feed.topic(key) for key in keys[:limit]]
    return topics
