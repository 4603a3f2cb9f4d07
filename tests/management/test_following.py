"""A topic as the log has it, without a server."""

import pytest

from realtime.engine.errors import UnknownTopic
from realtime.management.following import LoggedTopic
from realtime.publishing import interest, positions


def seen(topic: LoggedTopic) -> list[tuple[str, str]]:
    return [(change.op, change.key) for change in topic.look()]


@pytest.mark.parametrize("is_held", [True, False], ids=["followed", "unfollowed"])
def test_changes_are_found_in_the_log(log, quay, is_held):
    """Also where the log has an entry without rows, because no server holds the topic."""
    one, other = quay.entries.all()
    number = interest.begin("a process")
    interest.note(number, {f"entries.{quay.pk}": 1} if is_held else {})
    topic = LoggedTopic(f"entries.{quay.pk}")
    assert seen(topic) == [("upsert", str(one.pk)), ("upsert", str(other.pk))]
    assert seen(topic) == []

    one.delete()
    other.label = "x"
    other.save()
    assert seen(topic) == []
    assert topic.is_waiting
    log.sequence()

    assert sorted(seen(topic)) == [("delete", str(one.pk or 1)), ("upsert", str(other.pk))] or is_held
    assert [row["label"] for row in topic.replica.rows.values()] == ["x"]
    assert not topic.is_waiting


def test_a_new_epoch_and_a_reset_are_followed(log, quay):
    """The rows are read again, and what differs is a change."""
    topic = LoggedTopic("boards")
    topic.look()
    positions.begin_epoch()
    quay.title = "x"
    quay.save()
    log.sequence()

    assert seen(topic) == [("upsert", str(quay.pk))]
    assert str(topic.replica.position).startswith(log.state.epoch)


def test_rights_that_may_have_changed_are_no_rows(log, quay):
    """Its entry for the whole feed has none."""
    topic = LoggedTopic(f"entries.{quay.pk}")
    topic.look()
    quay.is_public = False
    quay.save()
    log.sequence()

    assert seen(topic) == []


def test_an_unknown_topic_is_an_error(log):
    with pytest.raises(UnknownTopic):
        LoggedTopic("nothing")
