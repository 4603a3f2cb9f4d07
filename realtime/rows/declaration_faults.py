"""Faults of a feed's declaration: values that cannot be used, that make every read fail, or that prevent capture."""

import inspect
import re
import zoneinfo
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, cast

from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db import models, router
from django.db.models.constants import LOOKUP_SEP
from django.db.models.query import ModelIterable
from django.utils import translation

from ..conf import get_conf
from .topic_text import unfit
from .values import Value, computed_methods, is_called_with

MAX_INTERVAL_SECONDS = 60
MAX_REFRESH_SECONDS = 24 * 3600
MAX_RETENTION_SECONDS = 30 * 24 * 3600
METHODS = {
    "can_subscribe": ["user", "key"], "visible_topics": ["user", "keys"], "same_rights": ["user"],
    "viewer_name": ["user"], "can_broadcast": ["user", "key"], "get_queryset": [],
}  # fmt: skip
"""The methods of a feed that a project overrides, with their arguments; those that make values are checked apart."""
_LEGAL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Fault(NamedTuple):
    """A fault of a declaration, and its remedy."""

    words: str
    hint: str


def check_values(name: str, limit: int | None, min_interval: float, refresh_seconds: float | None) -> None:
    """Raises: ImproperlyConfigured, for a name or a number that cannot be used."""
    if not _LEGAL_NAME.fullmatch(name):
        raise ImproperlyConfigured(f"feed name {name!r}: use letters, digits, - and _, up to 64")
    _check_number(name, "limit", limit)
    if not (isinstance(min_interval, int | float) and 0 <= min_interval <= MAX_INTERVAL_SECONDS):
        raise ImproperlyConfigured(
            f"feed {name!r}: min_interval {min_interval!r}: use seconds, from 0 to {MAX_INTERVAL_SECONDS}"
        )
    _check_seconds(name, "refresh_seconds", refresh_seconds, MAX_REFRESH_SECONDS)


def check_texts(name: str, **given: Any) -> None:
    """Raises: ImproperlyConfigured, for a value that is neither a text nor None."""
    for what, value in given.items():
        if not isinstance(value, str | None):
            raise ImproperlyConfigured(f"feed {name!r}: {what} is {value!r}: use a text")


def check_names(name: str, **given: Any) -> None:
    """Raises: ImproperlyConfigured, for a value that is not a list of texts; a single text is a fault of its own."""
    for what, names in given.items():
        if not isinstance(names, Iterable) or not all(isinstance(each, str) for each in names):
            raise ImproperlyConfigured(f"feed {name!r}: {what} is {names!r}: use a list of names")


def check_filter(name: str, condition: Any) -> None:
    """Raises: ImproperlyConfigured, for a value that is no condition."""
    if condition is not None and not getattr(condition, "conditional", False):
        raise ImproperlyConfigured(
            f"feed {name!r}: filter is {condition!r}: use a Q, such as Q(is_public=True)"
        )


def check_presence(name: str, presence: str | None) -> None:
    """Raises: ImproperlyConfigured, for a value that cannot be used."""
    if presence not in (None, "count", "names"):
        raise ImproperlyConfigured(f'feed {name!r}: presence {presence!r}: use "count", "names" or None')


def check_retention(name: str, seconds: float | None, entries: int | None) -> None:
    """Raises: ImproperlyConfigured, for a number that cannot be used."""
    _check_seconds(name, "retention_seconds", seconds, MAX_RETENTION_SECONDS)
    _check_number(name, "retention_entries", entries)


def _check_number(name: str, what: str, number: int | None) -> None:
    if number is not None and not (type(number) is int and number > 0):
        raise ImproperlyConfigured(f"feed {name!r}: {what} {number!r}: use a whole number above 0")


def _check_seconds(name: str, what: str, seconds: float | None, most: int) -> None:
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if seconds is not None and not (is_number and 0 < seconds <= most):
        raise ImproperlyConfigured(
            f"feed {name!r}: {what} {seconds!r}: use seconds, above 0 and up to {most}"
        )


def check_columns(
    name: str, primary_key: "models.Field[Any, Any]", topic_column: "models.Field[Any, Any] | None"
) -> None:
    """Raises: ImproperlyConfigured, for a column whose values cannot identify a row or a topic."""
    for column in filter(None, [topic_column, primary_key]):
        if kind := unfit(column, is_key=column is primary_key):
            raise ImproperlyConfigured(f"feed {name!r}: {column.name} is {kind} and cannot identify a row")


def faults(
    model: type[models.Model], values: Iterable[Value], ordering: Sequence[Any], annotations: Sequence[str]
) -> Iterator[Fault]:
    """Yield the faults of a declaration; ``annotations`` are further names that the queryset's rows have."""
    yield from _of_the_model(model)
    for value in values:
        yield from _of_value(value)
    yield from _of_ordering(model, ordering, annotations)


def faults_of_databases(model: type[models.Model], others: Iterable[type[models.Model]]) -> Iterator[Fault]:
    """Yield the faults of a feed that reads models of another database than that of the log.

    ``others`` are the further models that rows and rights depend on.
    """
    alias = get_conf().database
    for other in others:
        elsewhere = written_to(other)
        if elsewhere not in (None, alias) and other is not model._meta.concrete_model:
            yield Fault(
                f"it depends on {other.__name__}, which DATABASE_ROUTERS send to the database {elsewhere!r}, but "
                f"changes are captured in {alias!r}",
                "Leave it out of fields, depends_on and rights_depend_on, and set refresh_seconds; or copy the value "
                "into a column of the model.",
            )


def fault_of_queryset(model: type[models.Model], rows: "models.QuerySet[Any]") -> Fault | None:
    """Return the fault of a feed whose rows are no queryset of instances of its model in the database of the log.

    It is not part of ``Feed.faults``, which has no time limit: a ``get_queryset`` may query the database.
    """
    found = cast(Any, rows)
    if not isinstance(rows, models.QuerySet):
        kind = type(rows).__name__
        return Fault(
            f"get_queryset returns {kind}, not a queryset",
            "Return super().get_queryset(), filtered as needed.",
        )
    own = model._meta.concrete_model or model
    if not issubclass(rows.model, own) and rows.model._meta.db_table != own._meta.db_table:
        return Fault(
            f"its queryset has rows of {rows.model.__name__}, but the feed is registered for {model.__name__}, whose "
            "table is captured",
            f"Return rows of {model.__name__}, or register the feed for {rows.model.__name__}.",
        )
    if found.query.is_sliced:
        return Fault(
            "its queryset is a slice, from which no topic can be selected",
            "Write limit = … for the first rows of each topic.",
        )
    if not issubclass(found._iterable_class, ModelIterable):
        return Fault(
            "its queryset has values() or values_list(), and rows are made of instances",
            "Leave that out, and name the values in fields.",
        )
    alias = get_conf().database
    chosen: str | None = found._db  # ``db`` calls the project's routers, which may name a replica
    if chosen in (None, alias):
        return None
    return Fault(
        f"its queryset reads the database {chosen!r}, but changes are captured in {alias!r}",
        "Leave out using(); one project has live models in one database, REALTIME['DATABASE'].",
    )


def faults_of_methods(feed: Any, fields: object) -> Iterator[Fault]:
    """Yield the faults of ``fields`` as a whole, and of the methods of a feed's class that compute values."""
    if isinstance(fields, str):
        names = '["name", "price"], for example' if fields == "__all__" else f'["{fields}"]'
        yield Fault("fields is a text", f"Write a list: {names}.")
    for name, arguments in METHODS.items():
        method = inspect.getattr_static(feed, name)
        given = ", ".join(["self", *arguments])
        if not callable(getattr(feed, name)):
            yield Fault(f"{name} is {method!r}, not a method", f"Write `def {name}({given})`.")
        elif inspect.isfunction(method) and not is_called_with(method, "self", *arguments):
            yield Fault(f"{name} does not take ({given})", f"Write `def {name}({given})`.")
    methods = {name: found.method for name, found in computed_methods(feed).items()}
    for name, method in {**methods, "serialize": feed.serialize}.items():
        if not inspect.isfunction(method):
            yield Fault(
                f"{name} is computed, but it is a {type(method).__name__} and not a method",
                f"Write @computed alone, above `def {name}(self, instance)`.",
            )
        elif inspect.iscoroutinefunction(method):
            yield Fault(
                f"{name} is an async function, but rows are rendered in threads",
                f"Write `def {name}`; it may read the database.",
            )
        elif not is_called_with(method, "self", "instance"):
            yield Fault(f"{name} does not take one instance", f"Write `def {name}(self, instance)`.")


def faults_of_surroundings(language: str | None, time_zone: str | None) -> Iterator[Fault]:
    if language is not None and not translation.check_for_language(language):
        yield Fault(f"language {language!r} is not known to Django", 'Write a code such as "de" or "pt-br".')
    if time_zone is not None:
        try:
            zoneinfo.ZoneInfo(time_zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, TypeError, OSError):
            yield Fault(f"time_zone {time_zone!r} is unknown", 'Write a name such as "Europe/Berlin".')


def _of_the_model(model: type[models.Model]) -> Iterator[Fault]:
    if isinstance(model._meta.pk, models.CompositePrimaryKey):
        yield Fault(
            f"{model.__name__} has a composite primary key, and a row is identified by one column",
            "Give the model an AutoField as its primary key, and a UniqueConstraint over the columns of the key.",
        )
    alias = get_conf().database
    elsewhere = written_to(model)
    if elsewhere not in (None, alias):
        yield Fault(
            f"DATABASE_ROUTERS send {model.__name__} to the database {elsewhere!r}, but changes are captured in "
            f"{alias!r}",
            "Set REALTIME['DATABASE'] to the database of the live models, or route the model there.",
        )


def written_to(model: type[models.Model]) -> str | None:
    """Return the database that the project's routers name for writes of a model; None if they name none."""
    for one in router.routers:
        method = getattr(one, "db_for_write", None)
        chosen = method(model) if method is not None else None
        if chosen:
            return str(chosen)
    return None


def _of_value(value: Value) -> Iterator[Fault]:
    field = value.field
    if field is not None and not (getattr(field, "concrete", False) and not field.many_to_many):
        yield Fault(
            f"fields has {value.name!r}, which is not one value but a set of related rows",
            f"Leave it out of fields; render it in the template, with {value.name!r} in depends_on.",
        )


def _of_ordering(
    model: type[models.Model], ordering: Sequence[Any], annotations: Sequence[str]
) -> Iterator[Fault]:
    if isinstance(ordering, str):
        yield Fault("ordering is a text", f'Write a list: ["{ordering}"].')
        return
    for name in ordering:
        if not isinstance(name, str):
            yield Fault(
                f"ordering has an expression, {name!r}",
                'Write names, "-" before one for descending order; annotate the expression in get_queryset, and '
                "order by the annotation's name.",
            )
        elif name == "?":
            yield Fault(
                'ordering has "?", a random order: no page would have the rows where another one has them',
                "Order by columns.",
            )
        elif name.removeprefix("-") not in annotations:
            yield from _of_path(model, name)


def _of_path(model: type[models.Model], ordering: str) -> Iterator[Fault]:
    """Yield the fault of a path such as ``-author__name``: each step is one value or one related row."""
    here: Any = model
    for name in ordering.removeprefix("-").split(LOOKUP_SEP):
        if here is None:
            yield Fault(
                f"ordering has {ordering!r}, but {name!r} follows a column",
                "Name a column of the model, or of a related one.",
            )
            return
        if name == "pk":
            here = None
            continue
        try:
            field = _field(here, name)
        except FieldDoesNotExist:
            names = sorted(field.name for field in here._meta.concrete_fields)
            yield Fault(
                f"ordering has {ordering!r}, but {here.__name__} has no column {name!r}",
                f"It has: {', '.join(names)}.",
            )
            return
        if field.one_to_many or field.many_to_many:
            yield Fault(
                f"ordering has {ordering!r}, but {name!r} leads to several rows",
                "Order by a column of the model, or of a row that a foreign key refers to.",
            )
            return
        here = field.related_model if field.is_relation and name != getattr(field, "attname", "") else None


def _field(model: type[models.Model], name: str) -> Any:
    """Return a field by its name, or by its column: ``author`` or ``author_id``."""
    for field in model._meta.concrete_fields:
        if name in (field.name, field.attname):
            return field
    return model._meta.get_field(name)
