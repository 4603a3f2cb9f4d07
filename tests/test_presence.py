"""The functions for views: the number of viewers of a topic, and their names."""

import pytest

from realtime import presence
from realtime.engine.errors import UnknownTopic
from realtime.models import Process, SecondsNow
from realtime.publishing import interest


@pytest.fixture
def noted(log, quay):
    """Two processes with viewers of a topic."""
    for name, viewers, names in [("one", 2, ["grace", "ada"]), ("other", 3, ["ada", "<b>"])]:
        interest.note(
            interest.begin(name), {f"entries.{quay.pk}": viewers}, names={f"entries.{quay.pk}": names}
        )
    return f"entries.{quay.pk}"


def test_viewers_of_all_processes(sociable, noted):
    """Names once and in order."""
    assert presence.viewers(noted) == 5
    assert presence.names(noted) == ["<b>", "ada", "grace"]


def test_a_topic_without_subscribers_has_no_viewers(sociable, quay):
    """The number is zero, not an error."""
    assert (presence.viewers("boards"), presence.names(f"entries.{quay.pk}")) == (0, [])


def test_names_are_given_only_by_a_feed_that_names(sociable, monkeypatch, noted):
    """Also if an older form of it did, and its notes are still there."""
    monkeypatch.setattr(sociable, "presence", "count")

    assert (presence.viewers(noted), presence.names(noted)) == (5, [])


def test_processes_that_died_have_no_viewers(sociable, noted):
    """Their notes are no longer valid."""
    Process.objects.filter(name="one").update(seen_at=SecondsNow() - interest.VALID_SECONDS - 1)

    assert (presence.viewers(noted), presence.names(noted)) == (3, ["<b>", "ada"])


@pytest.mark.parametrize("topic", ["unknown", "entries", "entries.x", "entries.07", ""])
def test_the_viewers_of_an_unknown_topic_are_an_error(log, topic):
    """So that a typing error in a view is noticed."""
    with pytest.raises(UnknownTopic):
        presence.viewers(topic)
    with pytest.raises(UnknownTopic):
        presence.names(topic)
