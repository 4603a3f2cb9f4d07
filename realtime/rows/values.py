"""The values of a row: how each name in a feed's ``fields`` is read from an instance, and computed methods."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property as python_cached_property
from typing import Any, NamedTuple

from django.core.exceptions import FieldDoesNotExist, FieldError, ObjectDoesNotExist
from django.db import models
from django.db.models.constants import LOOKUP_SEP
from django.utils.functional import cached_property


class computed:
    """Marks a method of a feed whose result for a row is sent to subscribers, under the method's name.

    Its return annotation is the type of the value. It is called as ``self.<name>(instance)``, wherever rows are read:
    without a request and without a user, in the feed's language and time zone.
    """

    def __init__(self, method: Callable[[Any, Any], Any]) -> None:
        self.method = method
        self.__doc__ = getattr(method, "__doc__", None)

    def __get__(self, feed: Any, owner: type | None = None) -> Any:
        return self if feed is None else self.method.__get__(feed, owner)


class Value(NamedTuple):
    """One value of a row."""

    name: str
    read: Callable[[Any], Any]
    """Returns the value of an instance."""
    field: Any = None
    """The field of a model that has the value; None if it is computed."""
    type: Any = None
    """The annotation of a computed value, or the output field of an expression; None if it is not known."""
    relations: str = ""
    """The path of relations that lead to it, as in ``select_related``; "" if it is read from the row itself."""
    may_be_null: bool = True
    """Whether an expression may be null: unless Django has a value for no rows."""
    made_by: Any = None
    """The function that makes the value, or the choices of its field: if these change, the value may differ."""


class NoSuchValue(FieldDoesNotExist):
    """A name in ``fields`` that leads to no value."""


def computed_methods(feed: type) -> dict[str, computed]:
    """Return the computed methods of a feed's class by name, those of its bases first."""
    found: dict[str, computed] = {}
    for each in reversed(feed.__mro__):
        for name, attribute in vars(each).items():
            if isinstance(attribute, computed):
                found[name] = attribute
            elif name in found and inspect.isfunction(attribute):
                found[name] = computed(attribute)  # a subclass need not mark it again
            elif name in found:
                del found[name]
    return found


def values(feed: Any, names: Iterable[str], annotations: Callable[[], Mapping[str, Any]]) -> Iterator[Value]:
    """Yield the values of a feed's rows: first those in ``names``, then those of its computed methods.

    ``annotations`` returns the expressions that the feed's queryset adds to rows, by name.
    Raises: NoSuchValue.
    """
    methods = computed_methods(type(feed))
    for name in dict.fromkeys([*names, *methods]):
        if name in methods:
            method = methods[name].method
            yield Value(name, getattr(feed, name), type=_returned(method), made_by=method)
            continue
        try:
            yield _of_path(feed.model, name)
        except NoSuchValue:
            if name not in annotations():
                raise
            expression = annotations()[name]
            may_be_null = getattr(expression, "empty_result_set_value", None) in (None, NotImplemented)
            yield Value(name, _attribute(name), type=_output_field(expression), may_be_null=may_be_null)


def _of_path(model: type[models.Model], name: str) -> Value:
    """Return the value of a name such as ``owner__username``, which follows relations to one row each."""
    *path, last = name.split(LOOKUP_SEP)
    if not path or not last:
        return _own(model, name)
    here, accessors = model, []
    for step in path:
        try:
            relation: Any = here._meta.get_field(step)
        except FieldDoesNotExist:
            raise NoSuchValue(f"fields has {name!r}, but {here.__name__} has no relation {step!r}") from None
        if not (
            relation.is_relation and (relation.many_to_one or relation.one_to_one) and relation.related_model
        ):
            raise NoSuchValue(
                f"fields has {name!r}, but {here.__name__}.{step} does not lead to one row; compute "
                "the value in a method of the feed with @computed, and name what it reads in depends_on"
            )
        accessors.append(relation.get_accessor_name() if relation.auto_created else relation.name)
        here = relation.related_model
    end = _own(here, last)
    return end._replace(name=name, read=_at(accessors, end.read), relations=LOOKUP_SEP.join(path))


def _own(model: type[models.Model], name: str) -> Value:
    """Return a value of the model itself: of a column, of a property, or of a method without arguments."""
    if name == "pk":
        return Value(name, _attribute("pk"), model._meta.pk)
    attribute = inspect.getattr_static(model, name, None)
    try:
        field: Any = model._meta.get_field(name)
    except FieldDoesNotExist:
        field = None
    if field is not None:
        # A relation gives the key, not the related row. Relations without a column are reported as faults.
        return Value(name, _attribute(getattr(field, "attname", None) or name), field)
    if isinstance(attribute, property):
        return Value(name, _attribute(name), type=_returned(attribute.fget), made_by=attribute.fget)
    if isinstance(attribute, cached_property | python_cached_property):
        return Value(name, _attribute(name), type=_returned(attribute.func), made_by=attribute.func)
    shown = name.removeprefix("get_").removesuffix("_display")
    if name == f"get_{shown}_display" and (choices := _choices(model, shown)) is not None:
        return Value(name, _called(name), type=str, made_by=choices)
    if callable(attribute) and not getattr(attribute, "alters_data", False):
        if not is_called_with(attribute, "self"):
            raise NoSuchValue(
                f"fields has {name!r}, but the method {name} of {model.__name__} needs arguments; call it in a method "
                f"of the feed: @computed, def {name}(self, instance)"
            )
        return Value(name, _called(name), type=_returned(attribute), made_by=attribute)
    columns = ", ".join(field.name for field in model._meta.concrete_fields)
    raise NoSuchValue(
        f"fields has {name!r}, but {model.__name__} has no field named {name!r}, and no property, method or "
        f"annotation; its columns are: {columns}"
    )


def _output_field(expression: Any) -> Any:
    try:
        return expression.output_field
    except (AttributeError, FieldError):  # it has no field, or several and no rule that chooses one
        return None


def _choices(model: type[models.Model], name: str) -> Any:
    field = next((field for field in model._meta.concrete_fields if field.name == name), None)
    return getattr(field, "flatchoices", None)


def _attribute(name: str) -> Callable[[Any], Any]:
    return lambda instance: getattr(instance, name)


def _called(name: str) -> Callable[[Any], Any]:
    return lambda instance: getattr(instance, name)()


def _at(accessors: list[str], read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function that reads a value of a related row; it returns None where there is no such row."""

    def read_related(instance: Any) -> Any:
        for accessor in accessors:
            try:
                instance = getattr(instance, accessor)
            except ObjectDoesNotExist:
                return None
            if instance is None:
                return None
        return read(instance)

    return read_related


def _returned(function: Any) -> Any:
    """Return the annotation of a function's result; None without one."""
    try:
        found = inspect.signature(function, eval_str=True).return_annotation
    except (NameError, TypeError, ValueError):
        return None  # a name that is imported only for type checkers, for example
    return None if found is inspect.Signature.empty else found


def is_same(function: Any, other: Any) -> bool:
    """Return whether two functions are the same one, or the same one of a module that was loaded again."""
    return (function.__module__, function.__qualname__) == (other.__module__, other.__qualname__)


def is_called_with(function: Any, *arguments: Any) -> bool:
    """Return whether a function accepts these arguments."""
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        return False
    except ValueError:  # it is not written in Python
        return True
    return True
