"""Values of columns as the text that triggers record, and as the driver returns them for that text.

The text is what PostgreSQL itself sends for a value under fixed settings, so that it depends on no session.
"""

from collections.abc import Callable
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary
from zoneinfo import ZoneInfo

from django.db import ProgrammingError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field

_DATES = ("datestyle = 'ISO'",)
_MOMENTS = ("timezone = 'UTC'", *_DATES)
_DIGITS = ("extra_float_digits = '1'",)
_ALL = (*_MOMENTS, *_DIGITS, "intervalstyle = 'postgres'", "bytea_output = 'hex'")

_AS_IT_IS = frozenset({"int2", "int4", "int8", "uuid"})
"""Types of which equal values have one text."""
_BY_CAST = frozenset({*_AS_IT_IS, "text", "varchar", "name", "numeric"})
"""Types whose cast to text, the quickest form, is the same as the text that the server sends."""
_SETTINGS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys([*_BY_CAST, "bool", "bpchar", "inet", "cidr", "macaddr", "citext", "time"], ()),
    "date": _DATES, "timestamp": _DATES, "timestamptz": _MOMENTS, "float4": _DIGITS, "float8": _DIGITS,
    "interval": ("intervalstyle = 'postgres'",), "bytea": ("bytea_output = 'hex'",),
}  # fmt: skip

# The type behind a domain; the name is not used for a domain of a domain. Triggers cannot read a column that is
# computed when it is read, but its expression: that names columns of the row, functions and types of PostgreSQL only.
_TYPES = """
SELECT attname, base.oid, base.typname, CASE WHEN attgenerated = 'v' THEN
  format('CAST(%%s AS %%s)', pg_get_expr(adbin, adrelid), format_type(atttypid, atttypmod)) ELSE '' END
FROM pg_attribute
JOIN pg_type AS own ON own.oid = atttypid
JOIN pg_type AS base ON base.oid = coalesce(nullif(own.typbasetype, 0), own.oid)
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attrelid = to_regclass(quote_ident(%s)) AND attnum > 0 AND NOT attisdropped
"""


class Type(NamedTuple):
    """The type of a column: its number, its name, and the expression of a column that is computed when it is read."""

    number: int = 0
    name: str = ""
    expression: str = ""


Types = dict[str, Type]
"""By column."""
Load = Callable[[str], Any]

_loads: "WeakKeyDictionary[BaseDatabaseWrapper, dict[Field[Any, Any], Load]]" = WeakKeyDictionary()


def types(connection: BaseDatabaseWrapper, table: str) -> Types:
    """Return the types of a table's columns; empty if there is no such table."""
    with connection.cursor() as cursor:
        cursor.execute(_TYPES, [table])
        return {column: Type(*of_column) for column, *of_column in cursor.fetchall()}


def settings(types: list[Type]) -> list[str]:
    """Return the settings under which values of these types have one text; each one costs every writer some time."""
    needed = dict.fromkeys(setting for type in types for setting in _SETTINGS.get(type.name, _ALL))
    return list(needed)


def distinct(column: str, type: Type) -> str:
    """Return a column, given as SQL names it, in a form in which values are equal only if their texts are.

    The statement is for Django's cursor.
    """
    source = type.expression.replace("%", "%%") or column
    return source if type.name in _AS_IT_IS else f'{_text(source, type.name)} COLLATE "C"'


def _text(column: str, name: str) -> str:
    if name in _BY_CAST:
        return f"{column}::text"
    # Not a cast, which writes bool, inet and char(n) in another way than the server sends them.
    return f"CASE WHEN {column} IS NOT NULL THEN concat({column}) END"


def value(connection: BaseDatabaseWrapper, field: "Field[Any, Any]", noted: Any) -> Any:
    """Return a recorded value of this field's column as the driver returns it.

    ``noted`` is from an image: a text, or from triggers of older releases a JSON value.
    Raises: what the driver raises, for example for a date that Python does not have.
    """
    if noted is None or isinstance(noted, list | dict):
        return noted
    text = {True: "t", False: "f"}[noted] if isinstance(noted, bool) else str(noted)
    loads = _loads.setdefault(connection, {})
    if field in loads:
        try:
            return loads[field](text)
        except Exception:
            loads.clear()  # a migration may have changed the type
    loads[field] = _load(connection, _type(connection, field))
    return loads[field](text)


def _type(connection: BaseDatabaseWrapper, field: "Field[Any, Any]") -> int:
    """Return the number of the type that a field's column has; it need not be the one that Django would give it.

    Raises: ProgrammingError, if there is no such table or column now: no fault of the value.
    """
    table, column = field.model._meta.db_table, str(field.column)
    found = types(connection, table)
    if column not in found:
        raise ProgrammingError(f"there is no column {column} of a table {table}")
    return found[column].number


def _load(connection: BaseDatabaseWrapper, type_number: int) -> Load:
    """Return the function by which the driver reads texts of a type, apart from the session's settings."""
    from psycopg.adapt import AdaptersMap, Transformer
    from psycopg.pq import Format
    from psycopg.types.datetime import TimestamptzLoader

    name, zone = connection.timezone_name, connection.timezone

    class MomentLoader(TimestamptzLoader):
        """Return the moment as Django's own loader does in a session that has Django's time zone."""

        def load(self, data: Any) -> Any:
            return super().load(data).astimezone(ZoneInfo(name)).replace(tzinfo=zone)

    adapters = AdaptersMap(connection.connection.adapters)
    adapters.register_loader("timestamptz", MomentLoader)
    # Without a connection a loader expects ISO dates and UTC, as the triggers write them.
    loader = Transformer.from_context(adapters).get_loader(type_number, Format.TEXT)
    return lambda text: loader.load(text.encode())
