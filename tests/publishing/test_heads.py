"""Heads on SQLite; tests/contract/test_growth.py has what they cost on every database."""

import pytest

from realtime.models import LogEntry
from realtime.publishing import heads


def add(*entries: tuple[int, str, str]) -> None:
    LogEntry.objects.bulk_create(
        LogEntry(position=position, topic=topic, kind=kind, after=0, begins=0, payload="", fingerprint="")
        for position, topic, kind in entries
    )


def test_the_newest_entry_of_each_topic_is_found(db):
    """Notices are not entries of its rows; a topic without entries is left out."""
    add(
        (1, "a", "changes"), (5, "a", "reset"), (3, "a", "rights"), (9, "a", "notice"), (2, "b", "unfollowed")
    )

    assert heads.newest(["a", "b", "c"]) == {"a": 5, "b": 2}


@pytest.mark.parametrize("kind", ["reset", "rights", "unfollowed"])
def test_the_newest_entry_after_which_rights_are_asked_is_found(db, kind):
    """Changes leave them as they are, and so do notices."""
    add((1, "a", kind), (2, "a", kind), (7, "a", "changes"), (9, "a", "notice"), (4, "b", "changes"))

    assert heads.newest_asking(["a", "b"]) == {"a": 2}


@pytest.mark.parametrize("number", [0, 1, 2, 3, 7])
def test_any_number_of_topics_is_asked_for(db, monkeypatch, number):
    """Databases limit the parameters of a statement."""
    monkeypatch.setattr(heads, "AT_ONCE", 3)
    add(*((1 + place, f"t{place}", "changes") for place in range(9)))

    assert heads.newest([f"t{place}" for place in range(number)]) == {
        f"t{place}": 1 + place for place in range(number)
    }
