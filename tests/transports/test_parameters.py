"""The parameters of streams and polls."""

import pytest

from realtime.access.handshake import BadQuery
from realtime.access.limits import TooMuch
from realtime.transports import parameters


def test_topics_are_followed_once_each_in_their_order():
    """However often they are named."""
    assert parameters.topics({"topic": ["b", "a", "b"]}, 2) == ["b", "a"]


def test_a_stream_has_at_least_one_topic_and_at_most_the_limit():
    """The errors say what to write, and how many are possible."""
    with pytest.raises(BadQuery, match=r"\?topic="):
        parameters.topics({}, 2)
    with pytest.raises(TooMuch, match="no more than 2 topics"):
        parameters.topics({"topic": ["a", "b", "c"]}, 2)


@pytest.mark.parametrize(
    "given, formats",
    [
        ({}, ["rows", "rows"]),
        ({"format": ["html"]}, ["html", "html"]),
        ({"format": ["html", "rows"]}, ["html", "rows"]),
    ],
)
def test_a_format_is_for_all_topics_or_for_each(given, formats):
    """Rows by default."""
    assert [wire_format.format for wire_format in parameters.wire_formats(given, 2)] == formats


@pytest.mark.parametrize(
    "formats, why", [(["xml"], "rows or html, not 'xml'"), (["rows"] * 3, "3 formats for 2 topics")]
)
def test_other_formats_are_refused(formats, why):
    """Unknown ones, and another number of them."""
    with pytest.raises(BadQuery, match=why):
        parameters.wire_formats({"format": formats}, 2)


@pytest.mark.parametrize(
    "text, positions", [("", [None, None]), ("e.1,e.2", ["e.1", "e.2"]), (",e.2", [None, "e.2"])]
)
def test_an_id_names_the_position_of_each_topic(text, positions):
    """Or none, for a topic that the client has nothing of."""
    assert parameters.positions(text, 2) == positions


def test_an_id_of_another_stream_is_refused():
    """Its positions would be those of other topics."""
    with pytest.raises(BadQuery, match="3 positions for 2 topics"):
        parameters.positions("e.1,e.2,e.3", 2)


@pytest.mark.parametrize(
    "wait, seconds", [([], 0.0), (["2.5"], 2.5), (["-1"], 0.0), (["inf"], 25.0), (["1", "3"], 3.0)]
)
def test_a_poll_waits_between_nothing_and_25_seconds(wait, seconds):
    """The last value counts."""
    assert parameters.wait_seconds({"wait": wait} if wait else {}) == seconds


@pytest.mark.parametrize("wait", ["soon", "nan", ""])
def test_a_wait_that_is_not_a_number_is_refused(wait):
    """The error says what it should be."""
    with pytest.raises(BadQuery, match="a number of seconds up to 25"):
        parameters.wait_seconds({"wait": [wait]})
