"""The declaration of a feed: its consequences, its faults, and its fingerprint, which identifies it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db import models
from django.db.models.constants import LOOKUP_SEP

from ..engine.messages import Content
from . import queries
from .declaration_faults import (
    Fault,
    check_columns,
    check_filter,
    check_names,
    check_presence,
    check_retention,
    check_texts,
    check_values,
    faults,
    faults_of_databases,
    faults_of_methods,
    faults_of_surroundings,
)
from .dependencies import dependencies
from .feed_tables import FeedTables
from .feed_topics import primary_key
from .fingerprint import fingerprint
from .rights_tables import rights_sources
from .values import NoSuchValue, values


class FeedDeclaration(FeedTables):
    """The part of a feed that follows from its declaration alone."""

    fields: Sequence[str]
    filter: models.Q | None
    annotations: Mapping[str, Any]
    depends_on: Sequence[str]
    rights_depend_on: Sequence[type[models.Model]] | None
    ordering: Sequence[str]
    opaque_order: bool
    limit: int | None
    min_interval: float
    refresh_seconds: float | None
    retention_seconds: float | None
    retention_entries: int | None
    template_name: str | None
    language: str | None
    time_zone: str | None
    presence: Literal["count", "names"] | None

    def __init__(self, model: type[models.Model]) -> None:
        """Raises: ImproperlyConfigured, for a name or a number that cannot be used; for the rest see ``faults``."""
        if model._meta.abstract:
            raise ImproperlyConfigured(
                f"{model.__name__} is abstract, it has no rows; register the models made of it"
            )
        self.model = model
        self.name = self.name or f"{model._meta.model_name}s"
        self._topic_column = None
        check_texts(
            self.name, topic_field=self.topic_field, template_name=self.template_name, language=self.language,
            time_zone=self.time_zone,
        )  # fmt: skip
        check_filter(self.name, self.filter)
        check_names(self.name, fields=self.fields, depends_on=self.depends_on)
        if not isinstance(self.ordering, Iterable):
            raise ImproperlyConfigured(
                f"feed {self.name!r}: ordering is {self.ordering!r}: use a list of names"
            )
        try:
            if self.topic_field:
                self._topic_column = self._own_column(self.topic_field)
            self.values = list(
                values(self, [] if isinstance(self.fields, str) else self.fields, self._annotations)
            )
            """The single values of which ``serialize`` returns a dictionary by default."""
            self.relations = sorted({value.relations for value in self.values} - {""})
            """The paths of relations that ``fields`` follows; the feed depends on their tables."""
            paths = *dependencies(model, self.depends_on), *dependencies(model, self.relations)
            self._dependencies = list(dict.fromkeys(paths))
            self._rights_sources = rights_sources(model, self._topic_column, self._read_for_rights())
        except FieldDoesNotExist as error:
            raise ImproperlyConfigured(f"feed {self.name!r}: {error}") from error
        check_values(self.name, self.limit, self.min_interval, self.refresh_seconds)
        check_presence(self.name, self.presence)
        check_retention(self.name, self.retention_seconds, self.retention_entries)
        check_columns(self.name, primary_key(model), self._topic_column)

    def get_queryset(self) -> "models.QuerySet[Any]":
        """Return the rows of all topics."""
        raise NotImplementedError

    def serialize(self, instance: Any) -> dict[str, Any]:
        """Return the values of a row by name."""
        raise NotImplementedError

    def _annotations(self) -> Mapping[str, Any]:
        try:
            return dict(self.get_queryset().query.annotations)
        except Exception as error:
            raise NoSuchValue(f"its queryset raises {error!r}") from error

    def _read_for_rights(self) -> Sequence[type[models.Model]] | None:
        """Return the models that rights are read from, besides users; None for those that the topics imply."""
        return self.rights_depend_on

    @cached_property
    def faults(self) -> list[Fault]:
        """The faults of the declaration; a feed with a fault is off: it is not captured and has no topics."""
        annotations: list[str] = []
        names = [name for name in self.ordering if isinstance(name, str) and LOOKUP_SEP not in name]
        own = {name for field in self.model._meta.concrete_fields for name in (field.name, field.attname)}
        if {name.removeprefix("-") for name in names} - {"pk", *own}:
            annotations = list(self.get_queryset().query.annotations)
        return [
            *faults_of_methods(type(self), self.fields),
            *faults(self.model, self.values, self.ordering, annotations),
            *faults_of_surroundings(self.language, self.time_zone),
            *faults_of_databases(self.model, self.captured),
        ]

    @property
    def error(self) -> str | None:
        """Why the feed is off; None if it is live."""
        return self.faults[0].words if self.faults else None

    @property
    def formats(self) -> tuple[Content, ...]:
        """The contents that subscribers may ask for."""
        return ("rows", "html") if self.template_name else ("rows",)

    def held_in(self, contents: Collection[Content]) -> Content | None:
        """Return the only one of some contents, or None for several, and for the only contents that the feed has."""
        return next(iter(contents)) if len(contents) == 1 < len(self.formats) else None

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits. A feed of this name with another fingerprint may make other rows."""
        paths = [*self.depends_on, *self.relations]
        topics = self.model._meta.label, self.topic_field, paths, sorted(self.rights_tables)
        order = list(self.ordering), self.opaque_order, self.limit
        made_by = [value.made_by for value in self.values if value.made_by is not None]
        functions: list[Any] = [type(self).get_queryset, type(self.model._default_manager).get_queryset]
        functions += [type(self).serialize, *filter(callable, made_by)]
        choices = [[(value, str(label)) for value, label in each] for each in made_by if not callable(each)]
        names = [value.name for value in self.values]
        surroundings = self.language, self.time_zone
        declaration = [names, self.filter, order, self.template_name, self.annotations, choices, surroundings]
        return fingerprint(topics, declaration, functions, self.template_name)

    @cached_property
    def hides_rows(self) -> bool:
        """Whether the table may have rows that no topic shows: subscribers must not notice writes to them."""
        try:
            return self.limit is not None or bool(self.get_queryset().query.where)
        except Exception:  # reading the rows reports the same error
            return True

    @cached_property
    def is_read_whole(self) -> bool:
        """Whether rows cannot be read one by one, because their place or contents depend on other rows of the table."""
        return self.limit is not None or self.opaque_order or queries.reads_other_rows(self.get_queryset())
