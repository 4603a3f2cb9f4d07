"""Stored forms: values that a column holds in another form than the one that Django searches for.

SQLite keeps a UUID with dashes, or a time with a "T", as a program has written it. Django reads both forms, but does
not find the row by its value. Such a row could not be read again after a change.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

from django.db import models

from ..databases.registry import database
from . import reading

Field: TypeAlias = "models.Field[Any, Any]"

AT_ONCE = 500
"""How many rows are looked for at once."""


def has_several(field: Field) -> bool:
    """Return whether a column of this field may hold a value in a form by which Django does not find it."""
    while isinstance(field, models.ForeignKey):
        field = field.target_field
    return hasattr(field, "from_db_value") or field.get_internal_type() in database().SEVERAL_FORMS


def found(rows: "models.QuerySet[Any]", keys: Sequence[Any]) -> set[Any]:
    """Return the primary keys by which Django finds one of the rows."""

    def of_some(start: int, end: int) -> list[Any]:
        return list(rows.filter(pk__in=keys[start:end]).values_list("pk", flat=True))

    return set(reading.isolate(of_some, len(keys), AT_ONCE)[0])
