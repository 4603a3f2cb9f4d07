"""Positions of entries in the order of a table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.boards.exchange.order import arranged, rising


@pytest.mark.parametrize(
    "places, positions",
    [
        ([], []),
        ([None, None], [10, 20]),
        ([(10, 1), (20, 2)], [10, 20]),
        ([(10, 1), None, (20, 2)], [10, 15, 20]),
        ([(10, 1), (20, 2), None], [10, 20, 30]),
        ([None, (10, 1)], [0, 10]),
        ([(20, 2), (10, 1)], [0, 10]),
        ([(10, 1), (10, 2)], [10, 10]),
        ([(10, 1), None, (10, 2)], [10, 20, 30]),
        ([(10, 1), (30, 3), (20, 2), (40, 4)], [10, 15, 20, 40]),
    ],
)  # fmt: skip
def test_entries_that_are_in_order_keep_their_positions(places, positions):
    """The others find room between them; if there is none, all are numbered anew."""
    assert arranged(places) == positions


PLACES = st.lists(
    st.none() | st.tuples(st.integers(-1000, 1000), st.integers(1, 10**6)), unique_by=id, max_size=30
)


@given(PLACES)
def test_the_result_is_in_order(places):
    """Entries are ordered by position, then by key; new ones have the highest keys."""
    keys = [place[1] if place else 10**7 + number for number, place in enumerate(places)]

    found = [*zip(arranged(places), keys, strict=True)]

    if len({place for place in places if place}) == sum(bool(place) for place in places):
        assert sorted(found) == found


@given(PLACES)
def test_the_longest_part_in_order_is_kept(places):
    """Compared with the quadratic way of finding its length."""
    known = [place for place in places if place]
    best: list[int] = []
    for number, place in enumerate(known):
        best.append(1 + max((best[before] for before in range(number) if known[before] < place), default=0))

    found = rising(places)

    assert len(found) == max(best, default=0)
    assert [places[number] for number in found] == sorted({places[number] for number in found})
