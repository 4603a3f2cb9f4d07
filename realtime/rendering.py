"""Rendering: an instance of a live model as the row that subscribers receive, in both formats."""

import logging
import re
from collections.abc import Sequence
from typing import Any

import msgspec
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.template.loader import get_template
from django.utils.html import escape

from .engine.messages import Row, encode_value
from .engine.order import sort_key

logger = logging.getLogger("realtime.feeds")

MAX_ROW_BYTES = 256 * 1024
_ROOT_ELEMENT = re.compile(r"\s*(?:<!--.*?-->\s*)*<[A-Za-z][\w-]*", re.DOTALL)


def render_row(
    feed: str,
    instance: models.Model,
    fields: Sequence[str],
    ordering: Sequence[str],
    template_name: str | None,
) -> Row | None:
    """Return the row of an instance; None, with a line in the log, if it is over ``MAX_ROW_BYTES``."""
    key = str(instance.pk)
    order = _sort_key(instance, ordering)
    contents = {name: getattr(instance, _attribute(instance, name)) for name in fields}
    encoded = encode_value(contents, str)  # values that JSON does not have (files, lazy texts) become text
    html = _render_html(template_name, instance, key, order) if template_name else None
    row_bytes = len(encoded) + len(msgspec.json.encode(html))
    if row_bytes > MAX_ROW_BYTES:
        logger.error(
            "feed %s leaves out row %r: it has %d bytes, of at most %d; remove large fields from it",
            feed, key, row_bytes, MAX_ROW_BYTES,
        )  # fmt: skip
        return None
    return Row(key, order, msgspec.Raw(encoded), msgspec.UNSET if html is None else html)


def _render_html(template_name: str, instance: models.Model, key: str, order: str) -> str:
    """Return the HTML of a row, with key and order as attributes of its root element.

    The template gets neither a request nor a user: every subscriber receives the same HTML.
    Raises: ImproperlyConfigured, if the template does not begin with an element.
    """
    html = get_template(template_name).render({str(instance._meta.model_name): instance}).strip()
    root = _ROOT_ELEMENT.match(html)
    if root is None:
        raise ImproperlyConfigured(f"{template_name} must render one element, but it rendered {html[:60]!r}")
    marks = f' data-key="{escape(key)}" data-order="{escape(order)}"'
    return html[: root.end()] + marks + html[root.end() :]


def with_digest(html: str, digest: int) -> str:
    """Return the HTML of a row for a page: its root element has the digest too, by which the page compares its rows."""
    root = _ROOT_ELEMENT.match(html)
    assert root is not None  # as rendered by _render_html
    return f'{html[: root.end()]} data-digest="{digest}"{html[root.end() :]}'


def _sort_key(instance: models.Model, ordering: Sequence[str]) -> str:
    pairs = [(_value(instance, name.lstrip("-")), name.startswith("-")) for name in ordering]
    return sort_key([*pairs, (instance.pk, False)])


def _attribute(instance: models.Model, name: str) -> str:
    """Return the attribute with a field's own value: for a relation, the key and not the related row."""
    field: Any = instance._meta.get_field(name)
    return str(field.attname)


def _value(instance: Any, path: str) -> Any:
    """Return the value at a path such as ``author__name``; None if a relation on it is null."""
    for name in path.split("__"):
        if instance is None:
            return None
        instance = instance.pk if name == "pk" else getattr(instance, name)
    return instance.pk if isinstance(instance, models.Model) else instance
