"""The relations that a feed's ordering, template and functions use, and the columns that subscribers see."""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.models.constants import LOOKUP_SEP
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.template.base import FilterExpression, Template, Variable, VariableNode
from django.template.loader import get_template

from . import queries
from .dependencies import dependencies
from .fingerprint import source_of, template_names


def read_tables(
    queryset: "models.QuerySet[Any]",
    ordering: Iterable[str],
    template_name: str | None,
    functions: Iterable[Callable[..., Any]] = (),
) -> Iterator[tuple[str, str]]:
    """Yield the tables that rows are read from, each with where it is named: the query, the ordering, a template.

    ``functions`` compute values of an instance, their last argument.
    """
    for table in sorted(queries.all_tables(queryset)):
        yield table, "its queryset"
    paths = [(name.removeprefix("-").split(LOOKUP_SEP), "ordering") for name in ordering]
    prefetched: Iterable[Any] = queryset._prefetch_related_lookups  # type: ignore[attr-defined]
    for lookup in prefetched:
        path = lookup if isinstance(lookup, str) else lookup.prefetch_through
        paths.append((path.split(LOOKUP_SEP), "prefetch_related"))
    if template_name:
        paths += [(path, f"the template {name}") for name, path in _variables(queryset.model, template_name)]
    paths += [(path, f"{function.__name__}()") for function in functions for path in _attributes(function)]
    for parts, where in paths:
        path = _relations(queryset.model, parts)
        try:
            steps = dependencies(queryset.model, [LOOKUP_SEP.join(path)] if path else [])
        except FieldDoesNotExist:
            continue  # a generic relation
        for step in steps:
            yield step.table, where


def withheld(
    model: type[models.Model], fields: Iterable[str], ordering: Iterable[str], template_name: str | None
) -> list[str]:
    """Return the names of an ordering whose values subscribers are sent neither as fields nor by the template."""
    shown = {_column(model, name.split(LOOKUP_SEP)) for name in fields}
    if template_name:
        shown |= {_column(model, path) for _, path in _variables(model, template_name) if path}
    paths = {name: _column(model, name.removeprefix("-").split(LOOKUP_SEP)) for name in ordering}
    return [name.removeprefix("-") for name, path in paths.items() if path not in (("pk",), *shown)]


def _column(model: type[models.Model], parts: Iterable[str]) -> tuple[str, ...]:
    """Return a path to a value in one spelling: ``board_id`` and ``board.pk`` are the column ``board``."""
    *first, last = parts
    if first and last in ("pk", "id"):
        *first, last = first
    for field in model._meta.concrete_fields if not first else []:
        if last in (field.name, field.attname, f"get_{field.name}_display"):
            return ("pk",) if field.primary_key else (field.name,)
    return (*first, last)


def _relations(model: type[models.Model], parts: Iterable[str]) -> list[str]:
    """Return the leading parts of a path that are relations whose rows are read, not only their keys."""
    path: list[str] = []
    parts = list(parts)
    here: Any = model
    for number, name in enumerate(parts):
        known = {field.name: field for field in here._meta.get_fields() if field.is_relation}
        known |= {relation.get_accessor_name(): relation for relation in here._meta.related_objects}
        relation = known.get(name)
        rest = parts[number + 1 : number + 2]
        is_key = getattr(relation, "concrete", False) and not getattr(relation, "many_to_many", False)
        if relation is None or relation.related_model is None or (is_key and rest in ([], ["pk"], ["id"])):
            break
        path.append(name)
        here = relation.related_model
    return path


def _attributes(function: Callable[..., Any]) -> Iterator[list[str]]:
    """Yield the attributes of its last argument that the text of a function names: ``["author", "name"]``."""
    try:
        parsed = ast.parse(textwrap.dedent(source_of(function)))
    except SyntaxError:  # it is a part of an expression
        return
    *_, argument = inspect.signature(function).parameters
    for node in ast.walk(parsed):
        path: list[str] = []
        while isinstance(node, ast.Attribute):
            path.insert(0, node.attr)
            node = node.value
        if path and isinstance(node, ast.Name) and node.id == argument:
            yield path


def names_in(template_name: str) -> set[str] | None:
    """Return the words of a template's tags, except those in quotes; None if its source is not known.

    Names that a template itself sets, by ``{% with %}`` for example, are left out.
    """
    read: set[str] = set()
    own: set[str] = set()
    for name in template_names(template_name):
        try:
            backend: Any = get_template(name)
        except (TemplateDoesNotExist, TemplateSyntaxError):
            return None
        if not isinstance(backend.template, Template):
            return None
        code = " ".join(re.findall(r"{[{%](.*?)[%}]}", backend.template.source))
        texts = re.sub(r"\"[^\"]*\"|'[^']*'", " ", code)
        own.update(*re.findall(r"\b(\w+)=|\bas (\w+)", texts))
        own.update(
            *(names.split() for names in re.findall(r"\bfor ([\w, ]+?) in\b", texts.replace(",", " ")))
        )
        read.update(re.findall(r"(?<![\w.|-])[A-Za-z_]\w*", texts))
    return read - own


def _variables(model: type[models.Model], template_name: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the variables of a row in templates, without the row's own name: ``["author", "name"]``."""
    for name in template_names(template_name):
        try:
            backend: Any = get_template(name)
        except (TemplateDoesNotExist, TemplateSyntaxError):
            continue
        if not isinstance(backend.template, Template):
            continue
        for node in backend.template.nodelist.get_nodes_by_type(VariableNode):
            expression = getattr(node, "filter_expression", None)
            variable = expression.var if isinstance(expression, FilterExpression) else None
            lookups = variable.lookups if isinstance(variable, Variable) else None
            if lookups and lookups[0] == model._meta.model_name:
                yield name, list(lookups[1:])
