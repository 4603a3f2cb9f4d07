"""Dependencies: the related tables that rows of a feed are computed from, and how to find these rows.

Each step along a relation joins two tables by one column of each. The triggers of the related table record its column;
the touched rows are found by the column of the feed's side.

It is enough to follow the paths as they are now. To see this, compare the related rows of one row step by step, as they
were when last sequenced and as they are now. Up to the first step at which they differ the rows are the same, so they
still join by the same values. The difference at that step is a row that was inserted, updated or deleted, and its old
or its new image has one of these values. Rows beyond a deleted link need not be found: the old image of the link finds
the row. The same is true of any two moments between which the outbox is complete.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.models import ForeignKey, ManyToManyField, ManyToManyRel, ManyToOneRel


@dataclass(frozen=True, slots=True)
class Dependency:
    """A table that rows of a feed are computed from.

    A change in it touches the rows whose ``lookup`` equals the value of ``column`` in the old or new image.
    """

    model: type[models.Model]
    column: "models.Field[Any, Any]"
    lookup: str

    @property
    def table(self) -> str:
        return self.model._meta.db_table


def dependencies(model: type[models.Model], paths: Iterable[str]) -> list[Dependency]:
    """Return the tables that rows of a model depend on along these paths of relations.

    Tables of parents (multi-table inheritance) are always among them.
    Raises: FieldDoesNotExist, if a path cannot be followed.
    """
    if isinstance(paths, str):
        raise FieldDoesNotExist(f'depends_on is a list: write ["{paths}"]')
    found = dict.fromkeys(_parents(model, ""))
    for path in paths:
        here, prefix = model, ""
        for name in path.split("__"):
            relation = _relation(here, name, path)
            found |= dict.fromkeys(_steps(relation, prefix))
            here, prefix = relation.related_model, f"{prefix}{relation.name}__"
            found |= dict.fromkeys(_parents(here, prefix))
    return list(found)


def _parents(model: type[models.Model], prefix: str) -> Iterator[Dependency]:
    """Yield the tables of a model's parents; ``prefix`` is the lookup that leads to the model."""
    assert model._meta.concrete_model is not None
    own = model._meta.concrete_model._meta
    link: Any
    for link in own.local_fields:
        if link in own.parents.values():
            yield from _steps(link, prefix)
            yield from _parents(link.related_model, f"{prefix}{link.name}__")


def _relation(model: type[models.Model], name: str, path: str) -> Any:
    """Return a relation by its name in lookups, or by its attribute, as in ``prefetch_related``."""
    attributes: dict[Any, Any] = {
        relation.get_accessor_name(): relation for relation in model._meta.related_objects
    }
    known: dict[Any, Any] = {field.name: field for field in model._meta.get_fields() if field.is_relation}
    known |= attributes
    relation = known.pop(name, None)
    if relation is None:
        raise FieldDoesNotExist(
            f"depends_on has {path!r}, but {model.__name__} has no relation {name!r}; "
            f"it has: {', '.join(sorted(filter(None, known))) or 'none'}"
        )
    if not isinstance(relation, ForeignKey | ManyToManyField | ManyToOneRel | ManyToManyRel):
        raise FieldDoesNotExist(
            f"depends_on has {path!r}, but {model.__name__}.{name} is a generic relation, which cannot be "
            "followed; depend on a foreign key, or write a column of the feed's own table with the change"
        )
    if len(relation.path_infos) > 2:
        raise FieldDoesNotExist(
            f"depends_on has {path!r}, but the links of {model.__name__}.{name} are in two tables (multi-table "
            "inheritance); name the link's own relations instead, one after the other"
        )
    return relation


def _steps(relation: Any, prefix: str) -> Iterator[Dependency]:
    """Yield the tables that a relation joins: one, or a link table and the one behind it."""
    for step in relation.path_infos:
        ((near, far),) = step.join_field.get_joining_fields()
        # Django does not join the related table for a lookup of the column that a foreign key refers to,
        # so that a deleted row is found by the rows that still refer to it.
        lookup = f"{relation.name}__{far.name}" if step.direct else near.name
        yield Dependency(step.to_opts.concrete_model, far, prefix + lookup)
