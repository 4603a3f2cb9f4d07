"""Positions between neighbours: one write for one move, and the requested order in every case."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.boards.places import MAX_POSITION, NoSuchPlace, between, make_room


@pytest.mark.parametrize(
    "positions", [[10, 20, 30], [1, 2, 3], [0, 0, 0], [5, 5, 6], [-3, MAX_POSITION, 2**31 - 1]]
)
@pytest.mark.parametrize("place", [0, 1, 2, 3])
@pytest.mark.parametrize("count", [1, 2, 40])
def test_entries_are_added_where_it_was_asked(positions, place, count, board):
    """Whatever numbers the others have, also equal ones and those at the end of the column."""
    old = [board.entries.create(label=f"old {n}", position=position) for n, position in enumerate(positions)]
    after = old[place - 1].pk if place else None
    before = old[place].pk if place < len(old) else None

    places = make_room(board, after, before, count)
    for number, position in enumerate(places.positions):
        board.entries.create(label=f"new {number}", position=position)

    expected = [f"old {n}" for n in range(len(old))]
    expected[place:place] = [f"new {n}" for n in range(count)]
    if place == 0 and before is None:
        expected = expected[count:] + expected[:count]
    assert [entry.label for entry in board.entries.all()] == expected


def test_entries_are_renumbered_only_where_there_is_no_room(board, django_assert_num_queries):
    """With a number between the neighbours nothing is written; without one, all that changes in one statement."""
    first, second, third = (
        board.entries.create(label=label, position=p) for label, p in [("a", 10), ("b", 12), ("c", 13)]
    )

    with django_assert_num_queries(1):
        assert make_room(board, first.pk, second.pk).renumbered == {}
    with django_assert_num_queries(2):
        assert make_room(board, second.pk, third.pk).renumbered == {second.pk: (12, 20), third.pk: (13, 40)}


def test_a_place_beside_a_deleted_entry_is_found_by_the_other_neighbour(board):
    """If both are gone there is no such place."""
    only = board.entries.create(label="only", position=10)

    assert make_room(board, 10**6, only.pk).positions == [0]
    with pytest.raises(NoSuchPlace):
        make_room(board, 10**6, 10**6 + 1)


@given(st.integers(-100, 100), st.integers(0, 50), st.integers(1, 9))
def test_positions_between_two_are_strictly_between(low, distance, count):
    """Or there are none."""
    found = between(low, low + distance, count)

    if found is not None:
        assert sorted({low, *found, low + distance}) == [low, *found, low + distance]
