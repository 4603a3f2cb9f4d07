"""Interest on SQLite; tests/contract/test_interest.py has what holds on every database."""

import pytest
from django.db import connection

from realtime.models import Interest, Process, SecondsNow
from realtime.publishing import interest


def age(process: int, seconds: float) -> None:
    """Let a process have renewed its notes so long ago."""
    Process.objects.filter(pk=process).update(seen_at=SecondsNow() - seconds)


def test_without_a_process_every_topic_counts_as_followed(db):
    """The running processes may be of a release that notes nothing."""
    assert set(interest.followed({"a", "b"})) == {"a", "b"}


def test_what_any_process_holds_is_followed(db):
    """Each notes its own topics, and one that holds none says so."""
    first, second = interest.begin("first"), interest.begin("second")
    assert set(interest.followed({"a", "b", "c", "d"})) == set()

    interest.note(first, {"a": 1, "b": 0})
    interest.note(second, {"b": 7, "c": 0})

    assert set(interest.followed({"a", "b", "c", "d"})) == {"a", "b", "c"}


def test_a_note_replaces_the_former_one_of_its_process(db):
    """The number of viewers is that of the latest."""
    first, second = interest.begin("first"), interest.begin("second")
    for viewers in (0, 3):
        interest.note(first, {"a": viewers})
        interest.note(second, {"a": viewers + 1})

    interest.note(first, {}, dropped=["a"])

    assert list(Interest.objects.values_list("process", "topic", "viewers")) == [(second, "a", 4)]


@pytest.mark.parametrize("others", [False, True], ids=["alone", "with another process"])
def test_the_notes_of_a_process_that_died_expire(db, others):
    """If it was the only one, nothing is known any more; a renewal makes them valid again."""
    process = interest.begin("dies")
    interest.note(process, {"a": 1})
    if others:
        interest.begin("lives")

    age(process, interest.VALID_SECONDS + 1)
    expired = set(interest.followed({"a", "b"}))
    interest.note(process, {})

    assert expired == (set() if others else {"a", "b"})
    assert set(interest.followed({"a", "b"})) == {"a"}


def test_the_notes_of_a_process_that_died_before_the_clock_was_set_back_expire(db):
    """Its viewers would be counted, and its topics read, for as long as the clock was ahead."""
    process, other = interest.begin("dies"), interest.begin("lives")
    interest.note(process, {"a": 5})
    interest.note(other, {"b": 1})

    age(process, -24 * 3600)

    assert set(interest.followed({"a", "b"})) == {"b"}
    assert interest.viewers({"a"})["a"].number == 0
    interest.begin("next")
    assert not Process.objects.filter(pk=process).exists()


def test_what_ended_long_ago_is_deleted(db):
    """With its topics, when another process begins."""
    old, recent = interest.begin("old"), interest.begin("recent")
    for process in (old, recent):
        interest.note(process, {"a": 1})
    age(old, interest.FORGET_SECONDS + 1)
    age(recent, interest.FORGET_SECONDS - 60)

    interest.begin("new")

    assert set(Process.objects.values_list("name", flat=True)) == {"recent", "new"}
    assert set(Interest.objects.values_list("process", flat=True)) == {recent}


def test_a_process_that_is_not_known_stores_nothing(db):
    """The database was restored, or a crash has emptied the table: it has to begin again, with all of its topics."""
    process = interest.begin("here")
    Process.objects.all().delete()

    assert interest.note(process, {"a": 1}) is False
    assert not Interest.objects.exists()


def test_a_process_is_not_known_by_the_number_that_it_had_before_a_restore(db):
    """Its notes would be those of another process, which deletes them."""
    former = interest.begin("here")
    Process.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM sqlite_sequence WHERE name = 'realtime_process'")
    interest.begin("another")

    assert interest.note(former, {"a": 1}) is False


def test_as_many_topics_as_are_held_are_noted_and_asked_for(db, monkeypatch):
    """Databases limit the parameters of a statement."""
    monkeypatch.setattr(interest, "AT_ONCE", 3)
    process = interest.begin("here")
    topics = [f"t{number}" for number in range(10)]

    interest.note(process, dict.fromkeys(topics, 0))
    interest.note(process, {}, dropped=topics[:7])

    assert set(interest.followed([*topics, "other"])) == set(topics[7:])
