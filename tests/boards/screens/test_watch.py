"""Which screens are online, and the reports of those that are silent."""

from datetime import timedelta
from smtplib import SMTPException

import pytest
from django.core.mail import BadHeaderError, send_mail
from django.utils import timezone

from realtime import schedule
from realtime.boards.models import Screen
from realtime.boards.screens import watch, webhook

NOW = timezone.now()
MINUTE = timedelta(minutes=1)


@pytest.fixture
def screen(paired):
    return paired[1]


@pytest.fixture
def sent(monkeypatch, settings):
    settings.BOARDS_ALERT_WEBHOOK = "https://alerts.example/hook"
    settings.BOARDS_SILENT_MINUTES = 5
    messages = []
    monkeypatch.setattr(webhook, "send", lambda address, message: messages.append(message))
    return messages


def look(screen, viewers, number, at):
    viewers[f"screens.{screen.topic}"] = number
    watch.look(at)
    screen.refresh_from_db()


def test_a_screen_is_online_while_its_topic_has_a_viewer(screen, viewers):
    look(screen, viewers, 1, NOW)
    assert (screen.is_online, screen.last_heard, screen.absent_since) == (True, NOW, None)

    look(screen, viewers, 0, NOW + MINUTE)
    assert (screen.is_online, screen.last_heard, screen.absent_since) == (False, NOW, NOW + MINUTE)

    look(screen, viewers, 0, NOW + 2 * MINUTE)
    assert screen.absent_since == NOW + MINUTE


def test_little_is_written_about_an_online_screen(screen, viewers, django_assert_num_queries):
    """The time of its last report, every five minutes; each write is a change for all pages that show the list."""
    look(screen, viewers, 1, NOW)
    with django_assert_num_queries(1):
        watch.look(NOW + 4 * MINUTE)

    look(screen, viewers, 1, NOW + 5 * MINUTE)

    assert screen.last_heard == NOW + 5 * MINUTE


def test_a_screen_that_waits_for_its_code_is_not_watched(open_screen, viewers):
    open_screen()

    watch.look(NOW)

    assert Screen.objects.get().absent_since is None


def test_a_silence_is_reported_once_and_the_return_once(screen, viewers, sent):
    reporter = watch.Reporter()
    reporter.report(NOW)
    look(screen, viewers, 0, NOW)

    for minutes in range(12):
        reporter.report(NOW + minutes * MINUTE)
    assert [message["text"] for message in sent] == [f"Silent: Pier 2 (since {NOW:%H:%M} UTC)."]
    assert sent[0]["silent"] == [{"name": "Pier 2", "board": "quay", "last_heard": None}]

    look(screen, viewers, 1, NOW + 12 * MINUTE)
    for minutes in range(12, 15):
        reporter.report(NOW + minutes * MINUTE)
    assert [message["text"] for message in sent[1:]] == ["Back: Pier 2."]


def test_a_short_absence_is_not_reported(screen, viewers, sent):
    """As that of a restart."""
    reporter = watch.Reporter()
    reporter.report(NOW - 60 * MINUTE)
    look(screen, viewers, 0, NOW)
    reporter.report(NOW + 4 * MINUTE)
    look(screen, viewers, 1, NOW + 4 * MINUTE)

    reporter.report(NOW + 6 * MINUTE)

    assert sent == []


def test_time_in_which_the_server_was_off_does_not_count_as_silence(screen, viewers, sent):
    """The server received no reports in that time: a screen has five minutes to reconnect."""
    look(screen, viewers, 0, NOW - 600 * MINUTE)
    reporter = watch.Reporter()

    reporter.report(NOW)
    reporter.report(NOW + 4 * MINUTE)
    assert sent == []

    reporter.report(NOW + 5 * MINUTE)
    assert len(sent) == 1


def test_what_could_not_be_sent_is_sent_next_time(screen, viewers, sent, monkeypatch, caplog):
    look(screen, viewers, 0, NOW)
    reporter = watch.Reporter()
    reporter.report(NOW)
    send, failing = webhook.send, [True]

    def fail_once(address, message):
        if failing.pop() if failing else False:
            raise webhook.NotSent("alerts.example has not answered within 10 s")
        send(address, message)

    monkeypatch.setattr(webhook, "send", fail_once)
    reporter.report(NOW + 5 * MINUTE)
    assert (sent, Screen.objects.get().is_reported) == ([], False)
    assert "tried again in a minute" in caplog.text

    reporter.report(NOW + 6 * MINUTE)
    assert len(sent) == 1


def test_without_a_webhook_the_log_says_it_once(screen, viewers, settings, caplog):
    settings.BOARDS_ALERT_WEBHOOK = ""
    look(screen, viewers, 0, NOW)
    reporter = watch.Reporter()

    for minutes in range(10):
        reporter.report(NOW + minutes * MINUTE)

    assert caplog.text.count("Silent: Pier 2") == 1


@pytest.mark.parametrize(
    "name, seconds", [("screens_online", 10), ("silent_screens", 60), ("forgotten_screens", 600)]
)
def test_the_jobs_are_scheduled(name, seconds, db):
    job = schedule.jobs[f"realtime.boards.jobs.{name}"]

    job.function()

    assert job.seconds == seconds


def test_a_silence_is_reported_by_mail_too(screen, viewers, sent, settings, mailoutbox):
    """Once, and once for the return, to the addresses that the operator has set."""
    settings.BOARDS_ALERT_MAIL = ["duty@example.com", "desk@example.com"]
    reporter = watch.Reporter()
    reporter.report(NOW)
    look(screen, viewers, 0, NOW)
    for minutes in range(12):
        reporter.report(NOW + minutes * MINUTE)
    look(screen, viewers, 1, NOW + 12 * MINUTE)
    for minutes in range(12, 15):
        reporter.report(NOW + minutes * MINUTE)

    assert [mail.to for mail in mailoutbox] == [["duty@example.com", "desk@example.com"]] * 2
    assert [mail.body for mail in mailoutbox] == [message["text"] for message in sent]


@pytest.mark.parametrize(
    "error", [OSError("no route"), SMTPException("refused"), BadHeaderError("two lines")]
)
def test_what_was_sent_one_way_is_not_sent_again_when_the_other_fails(
    error, screen, viewers, sent, settings, monkeypatch, mailoutbox
):
    """The mail is tried again each minute, the webhook is called once."""
    settings.BOARDS_ALERT_MAIL = ["duty@example.com"]
    failing = [error, error]

    def fail_twice(*arguments):
        if failing:
            raise failing.pop()
        return send_mail(*arguments)

    monkeypatch.setattr(watch, "send_mail", fail_twice)
    look(screen, viewers, 0, NOW)
    reporter = watch.Reporter()
    reporter.report(NOW)

    for minutes in range(5, 12):
        reporter.report(NOW + minutes * MINUTE)

    assert (len(sent), len(mailoutbox)) == (1, 1)
    assert Screen.objects.get().is_reported
