"""Encoded messages are kept for further subscribers, in a bounded number of bytes."""

import sys

import pytest

from realtime.engine.encodings import Encodings

SIZE = 1100
"""More than each message here takes in memory, less than two."""


@pytest.fixture
def encodings() -> Encodings:
    return Encodings(max_bytes=6 * SIZE, max_topic_bytes=3 * SIZE)


def message(letter: str) -> str:
    return letter * 1000


def kept(encodings: Encodings, topic: str, keys: str) -> str:
    return "".join(key for key in keys if encodings.get(topic, key))


def test_a_message_is_kept_until_its_topic_changes(encodings):
    """Other topics keep theirs."""
    for topic in ("one", "other"):
        encodings.keep(topic, "a", message(topic[0]))

    encodings.forget("one")
    encodings.forget("unknown")

    assert encodings.get("one", "a") is None
    assert encodings.get("other", "a") == message("o")


def test_a_topic_keeps_what_was_asked_for_last(encodings):
    """Asking for a message counts, as keeping it does."""
    for letter in "abc":
        encodings.keep("one", letter, message(letter))
    encodings.get("one", "a")

    encodings.keep("one", "d", message("d"))

    assert kept(encodings, "one", "abcd") == "acd"


def test_the_topics_that_were_asked_for_longest_ago_make_room(encodings):
    """As a whole; the limit is that of a process."""
    for topic in ("one", "two", "three"):
        for letter in "ab":
            encodings.keep(topic, letter, message(letter))
    encodings.get("one", "a")

    encodings.keep("four", "a", message("a"))

    assert [kept(encodings, topic, "ab") for topic in ("one", "two", "three", "four")] == [
        "ab",
        "",
        "ab",
        "a",
    ]


def test_however_much_is_asked_for_no_more_is_kept(encodings):
    """From every position of every topic, in all forms; at last nothing is left of it."""
    for topic in range(50):
        for key in range(50):
            encodings.keep(topic, key, message("x"))
            assert encodings.bytes <= 6 * SIZE

    for topic in range(50):
        encodings.forget(topic)
    assert encodings.bytes == 0


def test_what_fits_exactly_is_kept():
    """In a topic, and in the process."""
    size = sys.getsizeof(message("a"))
    encodings = Encodings(max_bytes=3 * size, max_topic_bytes=2 * size)
    for topic, letter in (("one", "a"), ("one", "b"), ("two", "a")):
        encodings.keep(topic, letter, message(letter))

    assert kept(encodings, "one", "ab") + kept(encodings, "two", "a") == "aba"


def test_one_message_may_be_longer_than_all_limits(encodings):
    """It is about to be sent to many; the next one takes its place."""
    encodings.keep("one", "a", "x" * 100_000)
    assert kept(encodings, "one", "a") == "a"

    encodings.keep("two", "b", message("b"))

    assert kept(encodings, "one", "a") + kept(encodings, "two", "b") == "b"
    encodings.keep("two", "c", "x" * 100_000)
    assert kept(encodings, "two", "bc") == "c"
    encodings.keep("two", "d", message("d"))
    assert kept(encodings, "two", "bcd") == "d"


def test_characters_count_as_the_memory_that_they_take(encodings):
    """Four bytes for some."""
    encodings.keep("one", "a", "\N{WATER WAVE}" * 1000)

    assert encodings.bytes > 4000
