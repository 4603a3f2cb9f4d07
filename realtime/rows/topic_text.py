"""The text of a topic field's value in topic names: the same for all equal values, wherever they come from."""

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Context, Decimal, InvalidOperation
from types import SimpleNamespace
from typing import Any, TypeAlias

from django.db import connections, models
from django.utils import timezone

from ..conf import get_conf

Field: TypeAlias = "models.Field[Any, Any]"

_EXACT = Context(prec=2000, traps=[InvalidOperation])
_UNFIT = {"BinaryField": "binary", "JSONField": "JSON", "HStoreField": "a mapping"}
_UNFIT_AS_KEY = {**_UNFIT, "ArrayField": "an array", "RangeField": "a range", "FileField": "a file"}


def unfit(field: Field, *, is_key: bool) -> str:
    """Return why a field cannot be the key of rows, or of topics; "" if it can."""
    # By name: the fields of django.contrib.postgres cannot be imported without its driver.
    names = {kind.__name__ for kind in type(field).__mro__}
    return next((word for name, word in (_UNFIT_AS_KEY if is_key else _UNFIT).items() if name in names), "")


def topic_text(field: Field, value: Any) -> str:
    """Return the text of a value, as of the one that Django reads from a row."""
    while isinstance(field, models.ForeignKey):
        field = field.target_field
    value = _as_read(field, value)
    if not type(field).value_to_string.__module__.startswith("django."):
        return _own_text(field, value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return json.dumps(value, default=str, ensure_ascii=False)
    if hasattr(value, "isempty"):
        return _own_text(field, value)
    return str(value)


def _own_text(field: Field, value: Any) -> str:
    """Return the text that the field itself makes of a value, which its ``to_python`` accepts."""
    return field.value_to_string(SimpleNamespace(**{field.attname: value}))  # type: ignore[arg-type]


def _as_read(field: Field, value: Any) -> Any:
    """Return a value with the number of digits, in the time zone and so on that Django gives it."""
    base: Any = getattr(field, "base_field", None)
    match value:
        case Decimal():
            return _rounded(value, getattr(field, "decimal_places", None))
        case float():
            return value + 0.0  # -0.0 is equal to it, and has another text
        case datetime():
            return _in_zone(value)
        case list() | tuple() if base is not None:
            return [_as_read(base, one) for one in value]
    if hasattr(value, "isempty") and not value.isempty:
        ends = (_as_read(base, value.lower), _as_read(base, value.upper))
        return type(value)(*ends, value.bounds)
    return value


def _rounded(value: Decimal, places: int | None) -> Decimal:
    if not value.is_finite():
        return value
    value = value or abs(value)  # -0 likewise
    try:
        return (
            _EXACT.normalize(value) if places is None else _EXACT.quantize(value, Decimal(1).scaleb(-places))
        )
    except InvalidOperation:  # it has more digits than any column
        return value


def _in_zone(value: datetime) -> datetime:
    zone = connections[get_conf().database].timezone
    if zone is None:  # USE_TZ is off
        return timezone.make_naive(value) if timezone.is_aware(value) else value
    aware = value if timezone.is_aware(value) else timezone.make_aware(value)
    return aware.astimezone(zone)
