"""Rights tables: the tables that ``can_subscribe`` of a feed reads, so that a change of one causes rights to be checked
again.

One column of a changed row, the one with the topic's key, tells which topic the change concerns. Without such a column
it concerns all topics of the feed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from django.core.exceptions import ImproperlyConfigured
from django.db import models

from ..conf import get_conf
from .declaration_faults import written_to

Field: TypeAlias = "models.Field[Any, Any]"
Model: TypeAlias = type[models.Model]


def rights_sources(
    model: Model, topic_column: Field | None, declared: Sequence[Model] | None
) -> dict[Model, Field | None]:
    """Return the models that rights to a feed's topics depend on, each with the column that has the topic's key.

    ``declared`` None stands for the model that the topic field refers to, or for the feed's own where the topic field
    is its primary key.
    Raises: ImproperlyConfigured, if something declared is not a model with a table.
    """
    if isinstance(declared, str) or not isinstance(declared, Sequence | None):
        raise ImproperlyConfigured(f"rights_depend_on is {declared!r}; write a list of models: [Board]")
    found = _implied(model, topic_column) if declared is None else list(declared)
    sources: dict[Model, Field | None] = {}
    for each in found:
        if not (isinstance(each, type) and issubclass(each, models.Model)) or each._meta.abstract:
            raise ImproperlyConfigured(
                f"rights_depend_on has {each!r}, which is not a model with a table; write a list of models: [Board]"
            )
        for part in [_concrete(each), *map(_concrete, each._meta.get_parent_list())]:
            sources[part] = _key_column(part, model, topic_column)
    return sources


def _implied(model: Model, topic_column: Field | None) -> list[Model]:
    if topic_column is None:
        return []
    if topic_column.primary_key and topic_column.remote_field is None:
        return [model]
    related = _related(topic_column)
    # A model that cannot be captured is not implied: its rights are checked at the regular interval only.
    is_captured = related is not None and written_to(related) in (None, get_conf().database)
    return [related] if related is not None and is_captured and related._meta.managed else []


def _key_column(part: Model, model: Model, topic_column: Field | None) -> Field | None:
    """Return the column of a model that has the keys of the topics which its rows concern; None without one."""
    if topic_column is None:
        return None
    if part is _concrete(model):
        return topic_column
    subject, key = _related(topic_column), topic_column
    if isinstance(topic_column, models.ForeignKey):
        key = topic_column.target_field
    elif topic_column.primary_key:
        subject = _concrete(model)
    if subject is None:
        return None
    if part is subject and key in part._meta.local_fields:
        return key
    links = [
        field
        for field in part._meta.local_fields
        if isinstance(field, models.ForeignKey) and _related(field) is subject and field.target_field == key
    ]
    return links[0] if len(links) == 1 else None


def _related(column: Field) -> Model | None:
    """Return the model that a foreign key refers to."""
    return _concrete(column.remote_field.model) if isinstance(column, models.ForeignKey) else None


def _concrete(model: Model) -> Model:
    concrete = model._meta.concrete_model
    assert concrete is not None
    return concrete
