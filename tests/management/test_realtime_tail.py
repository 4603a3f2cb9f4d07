"""``manage.py realtime_tail``: the entries of the log."""

import json
import time

import pytest
from django.core.management import CommandError, call_command

from realtime.models import LogEntry, Sequencer
from realtime.notices import broadcast

OBEYED = "\x1b]0;x\x07\x7f\x85\x9b31m\u2028\u2029\u202e\u2066"
"""Characters that a terminal obeys: control characters of both sets, line ends, changes of direction."""


@pytest.fixture
def entries(log, quay):
    """A log with changes of two topics and a notice."""
    for number in range(3):
        quay.entries.filter(label__startswith="Saltmere").update(label=f"Saltmere {number}")
        log.sequence()
    quay.title = "x"
    quay.save()
    log.sequence()
    broadcast("Back at 14:00")
    log.sequence()
    return log


def printed(capsys, **options) -> list[str]:
    call_command("realtime_tail", **options)
    return capsys.readouterr().out.splitlines()


def test_the_newest_entries_are_listed_oldest_first(entries, quay, capsys):
    """Position, time, topic, and how much has changed."""
    lines = printed(capsys, lines=3)

    assert lines[-1].startswith(f"{entries.state.epoch}.")
    assert lines[-1].endswith("  *  notice Back at 14:00")
    assert len(lines) == 3
    assert len(printed(capsys, lines=0)) == 0
    assert any(line.endswith(f"  entries.{quay.pk}  1 upsert") for line in printed(capsys, lines=100))


def test_entries_after_a_position_are_listed(entries, quay, capsys):
    """With its epoch or without; each entry after it, as objects with their changes."""
    first = LogEntry.objects.filter(topic=f"entries.{quay.pk}").order_by("id")[1]

    for since in (f"{entries.state.epoch}.{first.position}", str(first.position)):
        lines = [json.loads(line) for line in printed(capsys, since=since, json=True)]

        offsets = [int(line["position"].rpartition(".")[2]) for line in lines]
        assert offsets == sorted(offsets)
        assert offsets[0] > first.position
        assert lines[-1]["text"] == "Back at 14:00"
        changed = [
            line["changes"] for line in lines if line["topic"] == f"entries.{quay.pk}" and "changes" in line
        ]
        assert [change["op"] for changes in filter(None, changed) for change in changes] == [
            "upsert",
            "upsert",
        ]


@pytest.mark.parametrize("topic", ["entries.{}", "entries"])
def test_only_entries_of_a_topic_or_a_feed_are_listed(entries, quay, capsys, topic):
    """Resets of the whole feed belong to each of its topics."""
    LogEntry.objects.create(position=10**6, topic="entries", kind="reset", after=0, begins=0)
    lines = printed(capsys, topic=topic.format(quay.pk), lines=100)

    assert {line.split("  ")[2] for line in lines} == {f"entries.{quay.pk}", "entries"}
    assert lines[-1].endswith("  entries  reset")


@pytest.mark.parametrize(
    "since, words",
    [("x", "is not a position"), ("abcd.4", "a position of an earlier log"), ("1.x", "is not")],
)
def test_a_wrong_position_is_refused(entries, since, words):
    with pytest.raises(CommandError, match=words):
        call_command("realtime_tail", since=since)


def test_pruned_entries_are_mentioned(entries, capsys):
    Sequencer.objects.update(edge=10**6)

    call_command("realtime_tail", since="1")

    assert "entries up to 1000000 were pruned" in capsys.readouterr().err


def test_an_empty_log_says_what_to_start(entries):
    Sequencer.objects.all().delete()

    with pytest.raises(CommandError, match="start a server"):
        call_command("realtime_tail")


def test_following_waits_for_more(entries, quay, capsys, monkeypatch):
    """Until Ctrl-C."""
    rounds = iter([1, 2])

    def wait(seconds: float) -> None:
        if next(rounds, None) is None:
            raise KeyboardInterrupt
        quay.entries.create(label="new")
        entries.sequence()

    monkeypatch.setattr(time, "sleep", wait)

    with pytest.raises(SystemExit):
        call_command("realtime_tail", follow=True, lines=1)

    assert len([line for line in capsys.readouterr().out.splitlines() if line.endswith("1 upsert")]) == 2


@pytest.mark.parametrize("as_json", [False, True])
def test_nothing_of_an_entry_is_obeyed_by_the_terminal(entries, quay, capsys, as_json):
    """Texts of notices, names of topics, values of rows."""
    broadcast(f"a{OBEYED}b")
    quay.entries.filter(label__startswith="Saltmere").update(label=f"a{OBEYED}b")
    entries.sequence()
    LogEntry.objects.create(position=10**6, topic=f"entries.{OBEYED}", kind="reset", after=0, begins=0)

    call_command("realtime_tail", lines=100, json=as_json)
    shown = capsys.readouterr().out

    assert not (set(OBEYED) - set("]0;x31m")) & set(shown)
    if as_json:
        assert any(json.loads(line).get("text") == f"a{OBEYED}b" for line in shown.splitlines())
    else:
        assert f"notice a{ascii(OBEYED)[1:-1]}b" in shown
