"""Fingerprints: whether two processes make the same rows for a feed, even if they run different releases.

A fingerprint changes with the declaration, the source of the templates and of the feed's queryset, and with
the settings that rows are rendered by. It is the same in every process of a release.
"""

import enum
import hashlib
import inspect
from collections.abc import Callable, Iterable, Iterator
from tokenize import TokenError
from typing import Any

import django
from django.conf import settings
from django.db import models
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.template.base import FilterExpression, Node, Template
from django.template.loader import get_template
from django.template.loader_tags import ExtendsNode, IncludeNode

RENDERING_VERSION = 3
"""Increase it when this package renders a row differently, or in other formats, than earlier releases."""
MAX_TEMPLATES = 100
_SETTINGS = (
    "LANGUAGE_CODE", "TIME_ZONE", "USE_TZ", "USE_I18N", "USE_THOUSAND_SEPARATOR", "FORCE_SCRIPT_NAME",
    "STATIC_URL", "MEDIA_URL",
)  # fmt: skip


def fingerprint(
    topics: Iterable[Any],
    declaration: Iterable[Any],
    functions: Iterable[Callable[..., Any]],
    template_name: str | None,
) -> str:
    """Return 16 hexadecimal digits that identify how rows are made.

    The first half identifies ``topics``, the part of the declaration that decides which topics a change touches.
    """
    known = [RENDERING_VERSION, django.VERSION[:2], [str(getattr(settings, name)) for name in _SETTINGS]]
    sources = [source_of(function) for function in functions]
    templates = list(template_sources(template_name)) if template_name else []
    touched = _digits(list(topics))
    return touched + _digits([touched, known, list(declaration), sources, templates])


def _digits(values: list[Any]) -> str:
    text = repr(canonical(values))
    return hashlib.blake2s(text.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()


def have_same_topics(one: str, other: str) -> bool:
    """Return whether two fingerprints are of declarations with which a change touches the same topics."""
    return one[:8] == other[:8]


def canonical(value: Any) -> Any:
    """Return a value whose ``repr`` is the same in every process: without addresses and orders of sets."""
    match value:
        case None | bool() | int() | float() | str() | bytes():
            return value
        case enum.Enum():
            return canonical(value.value)
        case models.Q():
            return [value.connector, value.negated, [canonical(child) for child in value.children]]
        case dict():
            return sorted((repr(canonical(key)), canonical(item)) for key, item in value.items())
        case set() | frozenset():
            return sorted(repr(canonical(item)) for item in value)
        case list() | tuple():
            return [canonical(item) for item in value]
        case models.QuerySet():
            return [value.model._meta.label, canonical(value.query.where.children)]
        case models.Model():
            return [value._meta.label, canonical(value.pk)]
    name = (
        value.__qualname__ if callable(value) and hasattr(value, "__qualname__") else type(value).__qualname__
    )
    arguments = getattr(value, "_constructor_args", None)  # of Django's expressions
    if arguments is not None:
        return [name, canonical(arguments)]
    text = repr(value)
    return [name] if " at 0x" in text else [name, text]


def source_of(function: Callable[..., Any]) -> str:
    """Return the text of a function, its name where the text is not available."""
    try:
        return inspect.getsource(function)
    except (OSError, TypeError, SyntaxError, TokenError):  # the last two if the file has changed meanwhile
        return str(getattr(function, "__qualname__", ""))


def template_names(name: str) -> Iterator[str]:
    """Yield the name of a template, and of those it extends or includes by a constant name."""
    for found, _ in template_sources(name):
        yield found


def template_sources(name: str) -> Iterator[tuple[str, str]]:
    """Yield name and source of a template and of those it extends or includes by a constant name."""
    waiting, seen = [name], {name}
    while waiting and len(seen) <= MAX_TEMPLATES:
        name = waiting.pop()
        try:
            backend: Any = get_template(name)
        except (TemplateDoesNotExist, TemplateSyntaxError) as error:
            yield name, str(error)
            continue
        template = backend.template
        if isinstance(template, Template):
            yield name, template.source
            names = sorted(set(_constant_names(template)))
        else:
            yield from _jinja_source(template)
            names = []
        waiting += [found for found in names if found not in seen]
        seen.update(names)


def _constant_names(template: Template) -> Iterator[str]:
    for node in template.nodelist.get_nodes_by_type(Node):
        named = []
        if isinstance(node, ExtendsNode):
            named = [node.parent_name]
        elif isinstance(node, IncludeNode):
            named = [node.template]
        elif isinstance(filename := getattr(node, "filename", None), str):  # an inclusion tag
            yield filename
        for expression in named:
            value = expression.var if isinstance(expression, FilterExpression) else expression
            if isinstance(value, str):
                yield value


def _jinja_source(template: Any) -> Iterator[tuple[str, str]]:
    """Yield the source of a template of Jinja, whose loader has it."""
    environment = getattr(template, "environment", None)
    if environment is not None and getattr(environment, "loader", None) is not None:
        yield template.name, environment.loader.get_source(environment, template.name)[0]
