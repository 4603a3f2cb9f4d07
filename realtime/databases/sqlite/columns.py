"""Values of columns in the exact form that triggers record, and as the driver returns them.

Whole numbers and texts are exact in JSON, as SQLite writes it and Python reads it. Other numbers would lose digits, and
bytes would make the write fail; these are recorded as a text in a list of one element. SQLite would take a text that a
function of JSON has returned for a part of the image, unless it is joined with another text.
"""

import sqlite3
from decimal import Decimal
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field

# 21 digits: quote() tries 15 first, and takes some numbers that differ in the last bit for the same.
_NUMBER = "printf('%%!.20e', {0})"


def exact(column: str) -> str:
    """Return the expression that records a column, in a statement that Django's cursor executes."""
    return (
        f"CASE typeof({column}) WHEN 'real' THEN json_array({_NUMBER.format(column)}) "
        f"WHEN 'blob' THEN json_array('x' || hex({column})) WHEN 'text' THEN {column} || '' ELSE {column} END"
    )


def value(connection: BaseDatabaseWrapper, field: "Field[Any, Any]", noted: Any) -> Any:
    """Return a recorded value of this field's column as the driver returns it.

    ``noted`` is from an image; a Decimal is from triggers of older releases.
    Raises: ValueError.
    """
    if noted is None:
        return None
    if isinstance(noted, list):
        (text,) = noted
        noted = bytes.fromhex(text[1:]) if text.startswith("x") else float(text)
    elif isinstance(noted, Decimal):
        noted = float(noted)
    # By the name up to the first space or parenthesis, in upper case: as the driver looks it up.
    declared = (field.db_type(connection) or "").partition("(")[0].partition(" ")[0].upper()
    convert = sqlite3.converters.get(declared)
    return noted if convert is None else convert(_bytes(noted))


def _bytes(noted: Any) -> bytes:
    """Return the bytes that the driver gives to a converter."""
    if isinstance(noted, bytes):
        return noted
    return (f"{noted:.15g}" if isinstance(noted, float) else str(noted)).encode()
