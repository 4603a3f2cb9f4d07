"""Sort keys that mean the same in Python, JavaScript and on paper.

Databases sort text by collations that a browser does not have. So the order of a row is worked out
once, here, as an ASCII string; whoever compares two of them code unit by code unit gets the order.
"""

import datetime
import decimal
import uuid
from collections.abc import Iterable

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_COMPLEMENT = str.maketrans("0123456789abcdef", "fedcba9876543210")
# Lower and higher than every digit: a value sorts before (descending: after) what it is a prefix of.
_END, _END_DESCENDING = " ", "~"


def sort_key(values: Iterable[tuple[object, bool]]) -> str:
    """Return the sort key of a row from its (value, descending) pairs, the weightiest first.

    None sorts before everything else, as in SQLite; text sorts by code point.
    Raises: TypeError, for a value that has no order of its own (a dict, a list).
    """
    return "".join(_part(value, descending) for value, descending in values)


def _part(value: object, descending: bool) -> str:
    digits = _digits(value)
    if descending:
        return digits.translate(_COMPLEMENT) + _END_DESCENDING
    return digits + _END


def _digits(value: object) -> str:
    """Return hexadecimal digits that sort, as text, like the value."""
    match value:
        case None:
            return "0"
        case bool() | int() | float() | decimal.Decimal():
            return "1" + _number(decimal.Decimal(str(value) if isinstance(value, float) else value))
        case datetime.datetime():
            aware = value if value.tzinfo else value.replace(tzinfo=datetime.UTC)
            return "1" + _number(decimal.Decimal((aware - _EPOCH) // datetime.timedelta(microseconds=1)))
        case datetime.date():
            return "1" + _number(decimal.Decimal(value.toordinal()))
        case datetime.timedelta():
            return "1" + _number(decimal.Decimal(value // datetime.timedelta(microseconds=1)))
        case datetime.time():
            return "1" + value.isoformat("microseconds").encode().hex()
        case uuid.UUID():
            return "1" + value.hex
        case str():
            return "1" + value.encode("utf-8", "surrogatepass").hex()
        case _:
            raise TypeError(f"cannot order rows by {type(value).__name__} {value!r}; order by a plain column")


def _number(value: decimal.Decimal) -> str:
    """Sign, length of the integer part, integer part, fraction; complemented when negative."""
    if not value.is_finite():  # NaN below, infinities at their ends
        return "0" if value.is_nan() else ("f" if value > 0 else "1")
    whole, _, fraction = f"{abs(value):f}".partition(".")
    whole = whole.lstrip("0")
    digits = f"{len(whole):03x}{whole}{fraction.rstrip('0')}"
    if value < 0:
        # "f" ends it: -1.5 lies below -1, of which it would otherwise be an extension.
        return "2" + digits.translate(_COMPLEMENT) + "f"
    return "3" + digits
