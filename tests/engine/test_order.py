"""Sort keys order like the values they stand for."""

import datetime
import uuid
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.engine.order import sort_key

integers = st.integers(-(2**70), 2**70)
decimals = st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**12), max_value=10**12)
floats = st.floats(allow_nan=False)
texts = st.text()
dates = st.datetimes(timezones=st.just(datetime.UTC))


@pytest.mark.parametrize("descending", [False, True], ids=["ascending", "descending"])
@pytest.mark.parametrize(
    "values", [integers, decimals, floats, texts, dates, st.dates(), st.times(), st.uuids()]
)
def test_keys_sort_like_values(values, descending):
    """For any two values the keys compare as the values do, in reverse if descending."""

    @given(values, values)
    def check(one, other):
        keys = sort_key([(one, descending)]), sort_key([(other, descending)])

        if one == other:
            assert keys[0] == keys[1]
        elif descending:
            assert (keys[0] > keys[1]) == (_rank(one) < _rank(other))
        else:
            assert (keys[0] < keys[1]) == (_rank(one) < _rank(other))

    check()


def _rank(value):
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value


@given(st.lists(st.tuples(integers, texts), min_size=2, max_size=2))
def test_later_values_only_break_ties(rows):
    """The first value is the most significant; the second decides between equal ones."""
    keys = [sort_key([(number, False), (text, True)]) for number, text in rows]

    (one, one_text), (other, other_text) = rows
    if one != other:
        assert (keys[0] < keys[1]) == (one < other)
    else:
        assert (keys[0] < keys[1]) == (_rank(one_text) > _rank(other_text))


@pytest.mark.parametrize(
    "value", [0, "", Decimal("NaN"), -(10**20), datetime.date.min, uuid.UUID(int=0)], ids=repr
)
def test_none_sorts_first(value):
    """A null sorts before every value, as in SQLite."""
    assert sort_key([(None, False)]) < sort_key([(value, False)])


def test_keys_are_ascii():
    """A browser compares UTF-16, Python code points: in ASCII they agree."""
    assert sort_key([("é\U0001f600", False), (3, True)]).isascii()


def test_values_without_an_order_are_refused():
    """The error for a mapping says what to do."""
    with pytest.raises(TypeError, match="order by a plain column"):
        sort_key([({}, False)])
