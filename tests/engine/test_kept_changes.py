"""Kept changes: their limits, and what a cursor at any offset gets of them."""

import msgspec
import pytest

from realtime.engine.kept_changes import ChangeSet, KeptChanges
from realtime.engine.messages import Change, Row, WireFormat, contents_size


def upsert(key: str, html: str = "") -> Change:
    return Row(key, key, msgspec.Raw(b'{"n":1}'), html).upsert()


def change_set(after: int, position: int, *changes: Change) -> ChangeSet:
    return ChangeSet(after, position, changes, sum(map(contents_size, changes)))


def test_a_cursor_gets_the_sets_above_its_offset_and_each_other_one_is_below_the_reach():
    """However many are kept; an offset between two sets' positions counts as the lower one."""
    sets = [change_set(after, after + 3, upsert("a"), upsert("b")) for after in (0, 3, 6, 9)]
    for max_changes in range(10):
        kept = KeptChanges(max_changes, 10**6)
        for each in sets:
            kept.keep(each)

        assert kept.reach == sets[-min(4, max(1, max_changes // 2))].after
        for offset in range(kept.reach, 13):
            assert kept.since(offset) == [each for each in sets if each.position > offset]


def test_bytes_are_limited_and_the_newest_set_stays():
    large = upsert("a", "x" * 1000)
    kept = KeptChanges(100, 2500)
    for after in range(5):
        kept.keep(change_set(after, after + 1, large))
        assert len(list(kept)) <= 2
    kept.keep(change_set(5, 6, upsert("b", "x" * 5000)))

    assert [each.position for each in kept] == [6]
    assert kept.reach == 5


def test_only_the_newest_set_keeps_its_message():
    """Older ones are sent merged."""
    kept = KeptChanges(100, 10**6)
    for after in range(3):
        kept.keep(change_set(after, after + 1, upsert("a")))
        kept.newest.encoded("t", "e", WireFormat())

    assert [bool(each._encoded) for each in kept] == [False, False, True]


def test_another_life_begins_with_nothing():
    kept = KeptChanges(2, 10**6)
    kept.keep(change_set(0, 1, upsert("a"), upsert("b")))
    kept.begin_at(7)
    assert (list(kept), kept.reach, kept.since(7)) == ([], 7, [])

    kept.keep(change_set(7, 8, upsert("a"), upsert("b")))  # nothing of the former life counts

    assert (kept.since(7), kept.reach) == ([kept.newest], 7)


@pytest.mark.parametrize("format, size", [("rows", 7), ("html", 100), ("rows+html", 107), ("signal", 0)])
def test_the_length_of_a_set_is_that_of_the_contents_in_its_format(format, size):
    found = change_set(0, 1, upsert("a", "x" * 100))

    assert found.is_longer_than(size - 1, format) or size == 0
    assert not found.is_longer_than(size, format)
