"""Feeds: the declaration that makes a model live: which rows, fields and topics, and which users may read them.

A feed is registered in its app's ``live.py``, which is imported when Django starts.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured, ValidationError
from django.db import models
from django.utils.functional import cached_property

from .conf import get_conf
from .databases.registry import database
from .dependencies import dependencies
from .engine.errors import UnknownTopic
from .engine.messages import Format, Row
from .rendering import render_row
from .rows import queries
from .rows.fingerprint import fingerprint

__all__ = ["Feed", "register"]

MAX_INTERVAL_SECONDS = 60
MAX_REFRESH_SECONDS = 24 * 3600
MAX_TOPIC_CHARACTERS = 200
_LEGAL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")

Field: TypeAlias = "models.Field[Any, Any]"


class Feed:
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
    """The fields that subscribers of the format ``rows`` receive."""
    filter: models.Q | None = None
    """Which rows are live; by default all of them."""
    depends_on: Sequence[str] = ()
    """Relations, as in ``prefetch_related``, whose rows a row is computed from: ``["author", "tags__group"]``."""
    ordering: Sequence[str] = ()
    """Field names as in ``order_by``, "-" for descending; the primary key breaks ties."""
    limit: int | None = None
    """Maximum number of rows of a topic: its first ones in the database's ordering."""
    min_interval: float = 0.0
    """Minimum number of seconds between two messages of a topic; changes in between are sent together."""
    refresh_seconds: float | None = None
    """How often topics are read again, where the time or something else that no table holds decides on their rows."""
    template_name: str | None = None
    """The template of one row, one root element; the row is in its context under the model's name."""

    def __init__(self, model: type[models.Model]) -> None:
        self.model = model
        self.name = self.name or f"{model._meta.model_name}s"
        self._topic_column: Field | None = None
        try:
            if self.topic_field:
                self._topic_column = self._own_column(self.topic_field)
            for name in self.fields:
                model._meta.get_field(name)
            self._dependencies = dependencies(model, self.depends_on)
        except FieldDoesNotExist as error:
            raise ImproperlyConfigured(f"feed {self.name!r}: {error}") from error
        self._check_values()

    def _own_column(self, name: str) -> Field:
        column: Any = self.model._meta.get_field(name)
        if column not in _concrete(self.model)._meta.local_fields:
            raise ImproperlyConfigured(
                f"feed {self.name!r}: {name} is a column of {column.model.__name__}'s table; "
                f"split by one of {self.model.__name__}'s own"
            )
        assert isinstance(column, models.Field)
        return column

    def _check_values(self) -> None:
        if not _LEGAL_NAME.fullmatch(self.name):
            raise ImproperlyConfigured(f"feed name {self.name!r}: use letters, digits, - and _, up to 64")
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
        seconds = self.refresh_seconds
        if seconds is not None and not (
            isinstance(seconds, int | float) and not isinstance(seconds, bool)
            and 0 < seconds <= MAX_REFRESH_SECONDS
        ):  # fmt: skip
            raise ImproperlyConfigured(
                f"feed {self.name!r}: refresh_seconds {seconds!r}: use seconds, above 0 and up to "
                f"{MAX_REFRESH_SECONDS}"
            )
        for column in filter(None, [self._topic_column, self.model._meta.pk]):
            if isinstance(column, models.BinaryField):
                raise ImproperlyConfigured(
                    f"feed {self.name!r}: {column.name} is binary and cannot identify a row"
                )

    # ------------------------------------------------------------ for subclasses to override

    def can_subscribe(self, user: Any, key: Any) -> bool:
        """Return whether a user may read a topic; ``key`` is the topic field's value, None without a topic field."""
        return bool(user.is_active and user.is_staff)

    def get_queryset(self) -> "models.QuerySet[Any]":
        """Return the rows of all topics; the place for ``select_related``."""
        rows = self.model._default_manager.all()
        if self.filter is None:
            return rows
        if self.depends_on:
            # A join would return a row once per related row that matches.
            found = self.model._default_manager.filter(self.filter, pk=models.OuterRef("pk"))
            return rows.filter(models.Exists(found))
        return rows.filter(self.filter)

    # ------------------------------------------------------------ what the declaration implies

    @property
    def formats(self) -> tuple[Format, ...]:
        """The formats that subscribers may ask for."""
        return ("rows", "html") if self.template_name else ("rows",)

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits: rows made by a feed of this name with another fingerprint may differ."""
        declaration = (
            self.model._meta.label, self.topic_field, list(self.fields), self.filter, list(self.ordering),
            self.limit, list(self.depends_on), self.template_name,
        )  # fmt: skip
        functions: list[Any] = [type(self).get_queryset, type(self.model._default_manager).get_queryset]
        return fingerprint(declaration, functions, self.template_name)

    @cached_property
    def is_read_whole(self) -> bool:
        """Whether one row cannot be read alone: ``limit``, or contents that depend on other rows of the table."""
        return self.limit is not None or queries.reads_other_rows(self.get_queryset())

    # ------------------------------------------------------------ tables

    @cached_property
    def sources(self) -> dict[type[models.Model], list[Field]]:
        """The models whose tables rows are computed from, with the columns that triggers record of a change."""
        sources = {_concrete(self.model): [_primary_key(self.model), *filter(None, [self._topic_column])]}
        for dependency in self._dependencies:
            sources.setdefault(dependency.model, []).append(dependency.column)
        return sources

    @cached_property
    def tables(self) -> set[str]:
        """The names of the tables that rows are computed from."""
        return {model._meta.db_table for model in self.sources}

    def touched(
        self, images: Mapping[str, Sequence[dict[str, Any]]], at_most: int
    ) -> dict[Any, set[str]] | None:
        """Return the rows that changes touch: for each primary key the topics that the row was in.

        ``images`` are the captured ones by table. None if more than ``at_most`` rows are touched.
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
            # Including rows that the filter excludes: they may have left it by this change.
            rows = everywhere.filter(**{f"{dependency.lookup}__in": values}).values_list("pk", *topic_columns)
            for key, *topic_key in rows.distinct()[: at_most + 1]:
                touched[key].update([] if topic_key == [None] else [self.topic(*topic_key)])
        return touched if len(touched) <= at_most else None

    # ------------------------------------------------------------ topics

    def topic(self, key: Any = None) -> str:
        """Return the name of the topic with that key."""
        return f"{self.name}.{key}" if self._topic_column is not None else self.name

    def topic_of(self, instance: models.Model) -> str | None:
        """Return the topic of an instance; None if its topic field is null."""
        if self._topic_column is None:
            return self.name
        key = getattr(instance, self._topic_column.attname)
        return None if key is None else self.topic(key)

    def parse_key(self, text: str) -> Any:
        """Return the key in the second part of a topic's name.

        Raises: ValidationError, if it is not a value of the topic field.
        """
        assert self._topic_column is not None
        key = self._topic_column.to_python(text)
        if isinstance(key, int) and not -(2**63) <= key < 2**63:
            raise ValidationError(f"{text[:80]} is not a 64-bit integer")
        return key

    def identify(self, image: dict[str, Any]) -> tuple[Any, str | None]:
        """Return the primary key of a captured row, and the topic that it was in, None if it was in none."""
        key = self._from_database(_primary_key(self.model), image)
        if self._topic_column is None:
            return key, self.name
        topic_key = self._from_database(self._topic_column, image)
        return key, None if topic_key is None else self.topic(topic_key)

    def _from_database(self, column: Field, image: dict[str, Any]) -> Any:
        """Return a captured value converted in the way that Django converts values read from the database."""
        connection = database().connection
        expression = column.get_col(column.model._meta.db_table)
        value = image[str(column.column)]
        for convert in connection.ops.get_db_converters(expression) + expression.get_db_converters(
            connection
        ):
            value = convert(value, expression, connection)
        return column.to_python(value)

    def live_rows(self) -> "models.QuerySet[Any]":
        """Return the rows of all topics, from the database of the log."""
        return self.get_queryset().using(get_conf().database)

    def topic_rows(self, key: Any) -> "models.QuerySet[Any]":
        """Return the rows of one topic, in order, at most ``limit``."""
        rows = self.live_rows()
        if self._topic_column is not None:
            rows = rows.filter(**{self._topic_column.attname: key})
        return rows.order_by(*self.ordering, "pk")[: self.limit]

    # ------------------------------------------------------------ rows

    def rows(self, instances: Iterable[models.Model]) -> list[Row]:
        """Return the instances as subscribers receive them, without those that are too large."""
        return [row for row in map(self.row, instances) if row is not None]

    def row(self, instance: models.Model) -> Row | None:
        """Return one instance as subscribers receive it; None if it is too large."""
        return render_row(self.name, instance, self.fields, self.ordering, self.template_name)


def _concrete(model: type[models.Model]) -> type[models.Model]:
    """Return the model that has a table: for a proxy, the model behind it."""
    concrete = model._meta.concrete_model
    assert concrete is not None
    return concrete


def _primary_key(model: type[models.Model]) -> Field:
    key = model._meta.pk
    assert key is not None
    return key


class Registry:
    """The feeds of a project by name; its one instance is ``registry``."""

    def __init__(self) -> None:
        self._feeds: dict[str, Feed] = {}

    def add(self, feed: Feed) -> None:
        present = self._feeds.get(feed.name)
        if present is not None and type(present).__qualname__ != type(feed).__qualname__:
            raise ImproperlyConfigured(
                f"two feeds have the name {feed.name!r}: {type(present).__name__} and {type(feed).__name__}; "
                "rename one of them"
            )
        self._feeds[feed.name] = feed

    def remove(self, name: str) -> None:
        self._feeds.pop(name, None)

    def __iter__(self) -> Iterator[Feed]:
        return iter(self._feeds.values())

    def __getitem__(self, name: str) -> Feed:
        return self._feeds[name]

    def __contains__(self, name: str) -> bool:
        return name in self._feeds

    def find(self, topic: str) -> tuple[Feed, Any]:
        """Return the feed and the key of a topic.

        Raises: UnknownTopic, also for another spelling of a key: ``entries.07`` is not ``entries.7``.
        """
        name, _, text = topic.partition(".")
        feed = self._feeds.get(name)
        if feed is None or len(topic) > MAX_TOPIC_CHARACTERS:
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
    """Register the decorated feed for a model."""

    def decorate(feed_class: type[Feed]) -> type[Feed]:
        registry.add(feed_class(model))
        return feed_class

    return decorate
