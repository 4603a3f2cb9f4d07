"""``manage.py broadcast``: sends a notice, or refuses it in one sentence."""

import pytest
from django.core.management import CommandError, call_command

from realtime.models import LogEntry


def sent(log) -> list[tuple[str, str]]:
    log.sequence()
    return list(LogEntry.objects.filter(kind="notice").values_list("topic", "payload"))


def test_the_command_reports_the_pages_that_it_was_sent_to(log, quay, capsys):
    """Every open page, or those that follow a topic."""
    topic = f"entries.{quay.pk}"

    call_command("broadcast", "to all")
    call_command("broadcast", "to these", topic=topic)

    assert capsys.readouterr().out == f"sent to every open page\nsent to pages that follow {topic}\n"
    assert sent(log) == [("*", "to all"), (topic, "to these")]


@pytest.mark.parametrize(
    "text, topic, words", [("", None, "1 to 1000"), ("x", "nothing", "no topic 'nothing'")]
)
def test_the_command_refuses_in_one_sentence(log, text, topic, words):
    """Without a traceback."""
    with pytest.raises(CommandError, match=words):
        call_command("broadcast", text, topic=topic)
