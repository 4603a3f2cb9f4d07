"""The order of a table as positions of entries: those that are in order keep theirs."""

from bisect import bisect_left
from collections.abc import Sequence

from ..places import GAP, between

Place = tuple[int, int]
"""The position of an entry and its key, by which entries are ordered."""


def arranged(places: Sequence[Place | None]) -> list[int]:
    """Return a position for each of some entries, in this order; None stands for an entry without a position.

    As few entries as possible get a new position; all get one, if there is no room between those that stay.
    """
    kept = {*rising(places)}
    found: list[int] = []
    waiting = 0
    for number in range(len(places) + 1):
        place = places[number] if number in kept else None
        if number < len(places) and place is None:
            waiting += 1
            continue
        if waiting:
            free = between(found[-1] if found else None, place[0] if place else None, waiting)
            if free is None:
                return [GAP * count for count in range(1, len(places) + 1)]
            found += free
            waiting = 0
        if place:
            found.append(place[0])
    return found


def rising(places: Sequence[Place | None]) -> list[int]:
    """Return the indices of a longest increasing subsequence of the places.

    Source: patience sorting.
    """
    ends: list[Place] = []
    last: list[int] = []
    previous: dict[int, int | None] = {}
    for number, place in enumerate(places):
        if place is None:
            continue
        length = bisect_left(ends, place)
        previous[number] = last[length - 1] if length else None
        ends[length : length + 1], last[length : length + 1] = [place], [number]
    found: list[int] = []
    number_or_none = last[-1] if last else None
    while number_or_none is not None:
        found.append(number_or_none)
        number_or_none = previous[number_or_none]
    return found[::-1]
