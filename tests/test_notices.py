"""Notices: words for whoever has a page open."""

import contextlib

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import transaction

from realtime.engine.errors import UnknownTopic
from realtime.models import LogEntry, OutboxRow
from realtime.notices import broadcast


def sent(log) -> list[tuple[str, str]]:
    log.sequence()
    return list(LogEntry.objects.filter(kind="notice").values_list("topic", "payload"))


def test_a_notice_is_for_everyone_or_for_a_topic(log, quay):
    """Its words are trimmed and otherwise as they were."""
    broadcast("  Back at <b>14:00</b> ☃\n")
    broadcast("Pier 2 is closed", f"entries.{quay.pk}")

    assert sent(log) == [("*", "Back at <b>14:00</b> ☃"), (f"entries.{quay.pk}", "Pier 2 is closed")]


@pytest.mark.parametrize("text", ["", "   \n", "x" * 1001])
def test_a_notice_has_a_length(log, text):
    """Neither nothing nor a novel."""
    with pytest.raises(ValidationError, match="1 to 1000 characters"):
        broadcast(text)

    assert sent(log) == []


@pytest.mark.parametrize("topic", ["", "*", "nothing", "entries", "entries.x"])
def test_a_notice_needs_a_topic_that_can_be_followed(log, topic):
    """Else nobody would see it, and nobody say so."""
    with pytest.raises(UnknownTopic):
        broadcast("words", topic)


def test_a_notice_is_sent_when_its_transaction_commits(log):
    """And not at all when that is rolled back."""
    with contextlib.suppress(ZeroDivisionError), transaction.atomic():
        broadcast("never")
        raise ZeroDivisionError

    assert not OutboxRow.objects.filter(source="realtime.notice").exists()


def test_the_command_says_where_it_was_sent(log, quay, capsys):
    """To every open page, or to some."""
    call_command("broadcast", "to all")
    call_command("broadcast", "to these", topic=f"entries.{quay.pk}")

    assert capsys.readouterr().out == (
        f"sent to every open page\nsent to pages that follow entries.{quay.pk}\n"
    )
    assert len(sent(log)) == 2


@pytest.mark.parametrize(
    "text, topic, words", [("", None, "1 to 1000"), ("x", "nothing", "no topic 'nothing'")]
)
def test_the_command_refuses_in_one_sentence(log, text, topic, words):
    """No traceback."""
    with pytest.raises(CommandError, match=words):
        call_command("broadcast", text, topic=topic)
