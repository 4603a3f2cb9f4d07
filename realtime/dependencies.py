"""Dependencies: the related tables that rows of a feed are computed from, and how to find these rows again.

Each step along a relation joins two tables by a column on either side. Of the farther table the triggers
note that column; the rows touched are those that the nearer column leads to.

Why it is enough to look along the paths as they are now: follow the related rows of one row step by step,
as they were when last sequenced and as they are now. Up to the first step at which they differ the rows
are the same, so they still join by the same values. What differs there is a row that came, changed or
went, and either its old or its new image has one of these values. What was beyond a link that is gone
need not be found: the link's own old image finds the row. The same holds for any two moments between
which the outbox is whole.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.models import ForeignKey, ManyToManyField, ManyToManyRel, ManyToOneRel


@dataclass(frozen=True, slots=True)
class Dependency:
    """A table that rows of a feed are computed from.

    A change in it touches the rows whose ``lookup`` gives what ``column`` has in the old or new image.
    """

    model: type[models.Model]
    column: models.Field
    lookup: str

    @property
    def table(self) -> str:
        return self.model._meta.db_table


def dependencies(model: type[models.Model], paths: Iterable[str]) -> list[Dependency]:
    """Return what rows of a model depend on that are computed along these paths of relations.

    A row with parts in parents' tables (multi-table inheritance) depends on these in any case.
    Raises: FieldDoesNotExist, for a path that cannot be followed.
    """
    if isinstance(paths, str):
        raise FieldDoesNotExist(f'depends_on is a list: write ["{paths}"]')
    found = dict.fromkeys(_parents(model, ""))
    for path in paths:
        here, way = model, ""
        for name in path.split("__"):
            relation = _relation(here, name, path)
            found |= dict.fromkeys(_steps(relation, way))
            here, way = relation.related_model, f"{way}{relation.name}__"
            found |= dict.fromkeys(_parents(here, way))
    return list(found)


def _parents(model: type[models.Model], way: str) -> Iterator[Dependency]:
    """Yield the tables of a model's parents; ``way`` is the lookup that leads to the model."""
    own = model._meta.concrete_model._meta
    for link in own.local_fields:
        if link in own.parents.values():
            yield from _steps(link, way)
            yield from _parents(link.related_model, f"{way}{link.name}__")


def _relation(model: type[models.Model], name: str, path: str):
    """Return a relation by its name in lookups, or by that of its attribute, as ``prefetch_related`` has it."""
    attributes = {relation.get_accessor_name(): relation for relation in model._meta.related_objects}
    known = {field.name: field for field in model._meta.get_fields() if field.is_relation} | attributes
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


def _steps(relation, way: str) -> Iterator[Dependency]:
    """Yield the tables that a relation leads through: one, or a link table and the one behind it."""
    for step in relation.path_infos:
        ((near, far),) = step.join_field.get_joining_fields()
        # Django leaves the farther table out of a lookup of the column that a foreign key points to,
        # so that a row which is gone is found by those that still name it.
        lookup = f"{relation.name}__{far.name}" if step.direct else near.name
        yield Dependency(step.to_opts.concrete_model, far, way + lookup)
