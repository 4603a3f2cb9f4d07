"""Replacements: what differs between the rows of a topic and those that were read again."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.engine import replacement
from realtime.engine.messages import Format, Row
from realtime.engine.replacement import compare, differing, digest_of

CONTENTS: Any = ("rows", "html")
ROWS = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 2))


def rows(values: dict[str, int]) -> dict[str, Row]:
    return {key: Row(key, key, msgspec.Raw(b"%d" % value), f"<p>{value}") for key, value in values.items()}


@given(ROWS, ROWS)
def test_the_changes_lead_from_the_present_rows_to_the_fresh_ones(before, after):
    """By as few changes as there are differences; digests are those of the fresh rows, known before or not."""
    present, fresh = rows(before), rows(after)
    formats: list[Format] = ["rows", "html"]
    digests = {format: digest_of(present.values(), format) for format in formats[:1]}

    new = compare(present, fresh, digests, CONTENTS, is_narrower=True)

    result = dict(present)
    for change in new.changes:
        result.pop(change.key, None)
        if change.op == "upsert":
            result[change.key] = change.upserted()
    assert result.keys() == fresh.keys() == new.rows.keys()
    assert all(result[key].is_same(fresh[key]) for key in fresh)
    assert sorted(change.key for change in new.changes) == sorted(
        key for key in before.keys() | after.keys() if before.get(key) != after.get(key)
    )
    assert new.digests == {"rows": digest_of(fresh.values(), "rows")}


def test_a_row_that_is_the_same_stays_the_same_object():
    """Its HTML as pages have it is kept for the object; not if the present one lacks contents."""
    present, fresh = rows({"a": 1, "b": 1}), rows({"a": 1, "b": 2})

    assert compare(present, fresh, {}, CONTENTS, is_narrower=True).rows["a"] is present["a"]
    assert compare(present, fresh, {}, CONTENTS, is_narrower=False).rows["a"] is fresh["a"]
    assert differing(present, fresh) == ["b"]


@pytest.mark.parametrize("many, formats", [(3, set()), (2, {"rows", "html"})])
def test_of_many_rows_the_digests_are_computed_at_once(monkeypatch, many, formats):
    """In the thread that compares them, not on the event loop when they are first used."""
    monkeypatch.setattr(replacement, "MANY_ROWS", many)

    assert compare({}, rows({"a": 1, "b": 2}), {}, CONTENTS, is_narrower=True).digests.keys() == formats
