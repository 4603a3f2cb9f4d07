"""Sort keys that compare the same in Python and JavaScript.

Databases sort text by collations that a browser does not have. So this module computes an ASCII string for each row;
comparing two of these strings code unit by code unit gives the order of their rows.
"""

import datetime
import decimal
import uuid
from collections.abc import Iterable

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_COMPLEMENT = str.maketrans("0123456789abcdef", "fedcba9876543210")
# Lower and higher than every digit: a value sorts before (descending: after) values of which it is a prefix.
_END, _END_DESCENDING = " ", "~"


def sort_key(values: Iterable[tuple[object, bool]]) -> str:
    """Return the sort key of a row from its (value, descending) pairs, the most significant first.

    None sorts before every other value, as in SQLite; text sorts by code point.
    Raises: TypeError, if a value has no order (a dict, a list).
    """
    return "".join(_part(value, descending) for value, descending in values)


def _part(value: object, descending: bool) -> str:
    digits = _digits(value)
    if descending:
        return digits.translate(_COMPLEMENT) + _END_DESCENDING
    return digits + _END


def _digits(value: object) -> str:
    """Return hexadecimal digits that sort as text in the order of the values."""
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
    """Return sign, length of the integer part, integer part, fraction; complemented if negative."""
    if not value.is_finite():  # NaN below, infinities at their ends
        return "0" if value.is_nan() else ("f" if value > 0 else "1")
    whole, _, fraction = f"{abs(value):f}".partition(".")
    whole = whole.lstrip("0")
    digits = f"{len(whole):03x}{whole}{fraction.rstrip('0')}"
    if value < 0:
        # A final "f": otherwise the digits of -1 would be a prefix of those of -1.5, which is less.
        return "2" + digits.translate(_COMPLEMENT) + "f"
    return "3" + digits
