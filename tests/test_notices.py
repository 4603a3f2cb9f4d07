"""Notices: texts for the readers of open pages."""

import contextlib

import pytest
from django.core.exceptions import ValidationError
from django.db import transaction

from realtime.engine.errors import UnknownTopic
from realtime.models import LogEntry, OutboxRow
from realtime.notices import broadcast


def sent(log) -> list[tuple[str, str]]:
    log.sequence()
    return list(LogEntry.objects.filter(kind="notice").values_list("topic", "payload"))


def test_a_notice_is_for_everyone_or_for_a_topic(log, quay):
    """Its text is trimmed and otherwise unchanged."""
    broadcast("  Back at <b>14:00</b> ☃\n")
    broadcast("Pier 2 is closed", f"entries.{quay.pk}")

    assert sent(log) == [("*", "Back at <b>14:00</b> ☃"), (f"entries.{quay.pk}", "Pier 2 is closed")]


@pytest.mark.parametrize("text", ["", "   \n", "x" * 1001])
def test_the_length_of_a_notice_is_limited(log, text):
    """From 1 to 1000 characters."""
    with pytest.raises(ValidationError, match="1 to 1000 characters"):
        broadcast(text)

    assert sent(log) == []


@pytest.mark.parametrize("topic", ["", "*", "nothing", "entries", "entries.x"])
def test_a_notice_needs_a_topic_that_can_be_followed(log, topic):
    """Otherwise no page would show it, and no error would say so."""
    with pytest.raises(UnknownTopic):
        broadcast("words", topic)


def test_a_notice_is_sent_when_its_transaction_commits(log):
    """It is not sent if the transaction is rolled back."""
    with contextlib.suppress(ZeroDivisionError), transaction.atomic():
        broadcast("never")
        raise ZeroDivisionError

    assert not OutboxRow.objects.filter(source="realtime.notice").exists()
