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


@pytest.mark.parametrize("format", [None, "html", "rows"])
def test_rows_are_those_of_the_database_in_whatever_format_servers_hold_the_topic(log, quay, format):
    """Where all hold it in HTML alone, the log has no values, and the topic is read."""
    name = f"entries.{quay.pk}"
    interest.note(interest.begin("a process"), {name: 1}, formats={name: format})
    topic = LoggedTopic(name)
    topic.look()
    changed = quay.entries.all()[0]
    changed.label = "x"
    changed.save()
    quay.entries.all()[1].delete()
    log.sequence()

    found = topic.look()

    assert [(change.op, change.row and change.row["label"]) for change in found if change.op == "upsert"] == [
        ("upsert", "x")
    ]
    assert {key: row["label"] for key, row in topic.replica.rows.items()} == {str(changed.pk): "x"}


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
