"""Rendering: an instance of a live model as the row that subscribers receive, in one format or in both."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.fields.files import FieldFile
from django.template.loader import get_template
from msgspec import UNSET, UnsetType

from ..engine.messages import Row, encode_value
from ..engine.order import sort_key
from .markup import check_one_element, with_attributes, with_order

MAX_ROW_BYTES = 256 * 1024
MAX_DEPTH = 100
"""How deep lists and objects of a field may be nested: far less than would exhaust the stack of any reader."""


class BadRow(ValueError):
    """A row that cannot be sent to subscribers."""


def render_row(
    instance: models.Model,
    contents: Mapping[str, Any] | UnsetType,
    ordering: Sequence[str],
    template_name: str | None,
) -> Row:
    """Return the row of an instance, with these values by name, and with the HTML of a template; either may be missing.

    Raises: BadRow, if it is too large or nested too deeply; BadMarkup; whatever its values and its template raise.
    """
    key = _key_of(instance)
    order = _sort_key(instance, ordering)
    encoded: bytes | None = None
    if contents is not UNSET:
        _check_contents(contents)
        encoded = encode_value(contents, as_json)
    html = _render_html(template_name, instance, key, order) if template_name else None
    row_bytes = len(encoded or b"") + sum(len(msgspec.json.encode(text)) for text in (key, order, html))
    if row_bytes > MAX_ROW_BYTES:
        raise BadRow(
            f"it has {row_bytes} bytes, of at most {MAX_ROW_BYTES}; remove large fields from the feed's fields, "
            "ordering and template"
        )
    return Row(
        key, order, UNSET if encoded is None else msgspec.Raw(encoded), UNSET if html is None else html
    )


def _key_of(instance: models.Model) -> str:
    """Return the primary key as subscribers receive it.

    Raises: BadRow, for a key by which changes of the row cannot be found: NaN, which is not equal to itself, or a value
    that its field cannot have, since SQLite stores any value in any column.
    """
    column, key = instance._meta.pk, instance.pk
    assert column is not None
    try:
        column.to_python(key)
        is_key = bool(key == key)
    except ValidationError:
        is_key = False
    if not is_key:
        raise BadRow(
            f"{repr(key)[:80]} is not a primary key; give the row a value of {type(column).__name__}"
        )
    return str(key)


def _render_html(template_name: str, instance: models.Model, key: str, order: str) -> str:
    """Return the HTML of a row, with key and order as attributes of its root element.

    The template gets neither a request nor a user: every subscriber receives the same HTML.
    Raises: BadMarkup, if the template renders something other than one element.
    """
    html = get_template(template_name).render({str(instance._meta.model_name): instance}).strip()
    check_one_element(template_name, html)
    return with_attributes(html, data_key=key, data_order=order)


def _check_contents(contents: Mapping[str, Any]) -> None:
    if not isinstance(contents, dict) or not all(isinstance(name, str) for name in contents):
        raise BadRow(f"serialize returned {repr(contents)[:80]}; return a dict of values by name")
    level: list[Any] = list(contents.values())
    for _ in range(MAX_DEPTH + 1):
        if any(isinstance(value, set | frozenset) for value in level):
            raise BadRow("a value is a set, whose order differs between processes; return sorted(…)")
        nested = [value for value in level if isinstance(value, dict | list | tuple)]
        if not nested:
            return
        level = [item for each in nested for item in (each.values() if isinstance(each, dict) else each)]
    raise BadRow(f"a field has lists and objects nested more than {MAX_DEPTH} levels deep")


def as_json(value: Any) -> Any:
    """Return a form in JSON for a value that JSON does not have; docs/feeds.md lists them.

    Raises: BadRow, for a value without a form that is the same everywhere.
    """
    if isinstance(value, FieldFile):
        return value.url if value else None
    if hasattr(value, "isempty"):  # a range of PostgreSQL, whose class cannot be imported without its driver
        if value.isempty:
            return {"empty": True}
        return {"lower": value.lower, "upper": value.upper, "bounds": value.bounds}
    if isinstance(value, Sequence):  # several ranges
        return list(value)
    if isinstance(value, models.Model | models.QuerySet | models.Manager):
        raise BadRow(
            f"a value is {type(value).__name__}, which has no form in JSON; return its fields, as in a dict"
        )
    text = str(value)
    if text.startswith("<") and " at 0x" in text:
        raise BadRow(
            f"a value is a {type(value).__name__}, which has no form in JSON; return text or numbers"
        )
    return text


def with_place(row: Row, place: int) -> Row:
    """Return a row with its place in the topic as its order key, which then discloses nothing else."""
    order = f"{place:08x}"
    html = row.html if isinstance(row.html, UnsetType) else with_order(row.html, order)
    return Row(row.key, order, row.row, html)


def with_digest(html: str, digest: int) -> str:
    """Return the HTML of a row for a page: its root element has the digest too, by which the page compares its rows."""
    return with_attributes(html, data_digest=str(digest))


def _sort_key(instance: models.Model, ordering: Sequence[str]) -> str:
    pairs = [(_value(instance, name.lstrip("-")), name.startswith("-")) for name in ordering]
    return sort_key([*pairs, (instance.pk, False)])


def _value(instance: Any, path: str) -> Any:
    """Return the value at a path such as ``author__name``; None if a relation on it is null."""
    for name in path.split("__"):
        if instance is None:
            return None
        instance = instance.pk if name == "pk" else getattr(instance, name)
    return instance.pk if isinstance(instance, models.Model) else instance
