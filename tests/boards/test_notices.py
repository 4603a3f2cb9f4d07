"""Notices: made on a board, shown to all pages of their boards, ended by themselves."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone

from realtime.boards.models import Board, Level, Notice
from realtime.boards.notices import write_due
from realtime.feeds import registry
from realtime.publishing.positions import read_topic

from .test_templates import EVIL


def announce(client, board, **form):
    return client.post(
        reverse("boards:announce", args=[board.slug]),
        {"text": "Pier 2 is closed", "level": "warning", "minutes": "15"} | form,
    )


def page(client, board):
    return client.get(board.get_absolute_url()).content.decode()


def notice(*boards, **columns):
    made = Notice.objects.create(text="Pier 2 is closed", **columns)
    made.boards.set(boards)
    return made


@pytest.mark.parametrize("minutes", ["15", "60", "240", ""])
def test_an_editor_announces_on_a_board(editor_client, client, board, staff_board, minutes):
    """For a time, or until it is ended; a page that is loaded later has it, also without JavaScript."""
    response = announce(editor_client, board, minutes=minutes)

    assert response["Location"] == board.get_absolute_url()
    made = Notice.objects.get()
    length = made.shows_until and made.shows_until - made.shows_from
    assert length == (timedelta(minutes=int(minutes)) if minutes else None)
    editor_client.logout()
    assert "Pier 2 is closed" in page(client, board)
    assert "Warning" in page(client, board)
    assert [*made.boards.all()] == [board]


def test_an_editor_announces_on_all_boards(editor_client, board, staff_board):
    announce(editor_client, board, everywhere="on")

    assert {*Notice.objects.get().boards.all()} == {board, staff_board}


@pytest.mark.parametrize(
    "field, value, words",
    [
        ("text", "", "This field is required."),
        ("text", "x" * 301, "at most 300 characters"),
        ("level", "loud", "Select a valid choice"),
        ("minutes", "7", "Select a valid choice"),
        ("begins", "tomorrow", "Enter a valid date/time."),
        ("begins", "9999-12-31T22:30", "too far away"),
        ("ends", "2020-01-01T00:00", "would never be shown"),
        ("weekdays", ["8"], "Select a valid choice"),
    ],
)
def test_a_notice_that_cannot_be_made_says_why_and_keeps_what_was_typed(
    editor_client, board, field, value, words
):
    """On the page of the board, beside the field, and with all that is shown there."""
    texts = {"text": "Crane at work", "begins": "2090-01-01T08:40", "ends": "2091-01-01T00:00"}
    typed: dict[str, Any] = {**texts, "everywhere": "on", "weekdays": ["3"], field: value}

    response = announce(editor_client, board, **typed)

    html = response.content.decode()
    assert response.status_code == 422
    assert "The notice was not made." in html
    assert words in html
    form = response.context["notice_form"]
    assert [*form.errors] == [field]
    for name in texts:
        assert not typed[name] or f'value="{typed[name]}"' in html
    assert form["everywhere"].value()
    assert form["weekdays"].value() == typed["weekdays"]
    assert html.count('<details class="tool" open') == 1
    assert board.title in html
    assert not Notice.objects.exists()


def test_an_editor_ends_a_notice(editor_client, board):
    """On the page, or several in the admin."""
    first, second = notice(board), notice(board)

    editor_client.post(reverse("boards:end_notice", args=[board.slug, first.pk]))
    editor_client.post(
        reverse("admin:boards_notice_changelist"), {"action": "end_now", "_selected_action": [second.pk]}
    )

    assert not Notice.objects.filter(is_shown=True).exists()
    assert "Pier 2 is closed" not in page(editor_client, board)


@pytest.mark.parametrize("rights", [["add_notice"], ["add_notice", "view_notice", "delete_notice"]])
def test_ending_a_notice_is_offered_to_users_with_the_right_only(
    client, board, visitor, editor_client, rights
):
    """A user who may only make notices gets no button that the server would refuse."""
    notice(board)
    assert "End it" in page(editor_client, board)
    visitor.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client.force_login(visitor)

    html = page(client, board)

    assert "Announce" in html
    assert "End it" not in html


@pytest.mark.parametrize("may", [[], ["view_notice"]])
def test_only_users_that_may_edit_notices_can_make_or_end_them(client, board, visitor, may):
    visitor.user_permissions.set(Permission.objects.filter(codename__in=may))
    made = notice(board)
    addresses = [
        reverse("boards:announce", args=[board.slug]),
        reverse("boards:end_notice", args=[board.slug, made.pk]),
    ]

    for user in [None, visitor]:
        if user:
            client.force_login(user)
        assert [
            client.post(address, {"text": "x", "level": "info"}).status_code for address in addresses
        ] == [302, 302]
        assert "Announce" not in page(client, board)
    assert Notice.objects.get().is_shown
    assert client.get(addresses[0]).status_code == 405


def test_a_notice_of_another_board_cannot_be_ended_from_this_one(editor_client, board, staff_board):
    made = notice(staff_board)

    assert editor_client.post(reverse("boards:end_notice", args=[board.slug, made.pk])).status_code == 404


NOW = timezone.now()
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    "begins, ends, is_shown",
    [
        (-HOUR, None, True),
        (-HOUR, HOUR, True),
        (-HOUR, -HOUR / 2, False),
        (HOUR, None, False),
        (HOUR, -HOUR, False),
    ],
)
@pytest.mark.parametrize("was_shown", [True, False])
def test_the_job_shows_and_hides_notices_of_every_writer_by_time(board, begins, ends, is_shown, was_shown):
    """Also those of SQL, which sets any columns; a second run writes nothing."""
    made = notice(board)
    now = timezone.now()
    Notice.objects.filter(pk=made.pk).update(
        shows_from=now + begins, shows_until=ends and now + ends, is_shown=was_shown
    )

    assert write_due() == (is_shown != was_shown)
    assert write_due() == 0
    made.refresh_from_db()
    assert made.is_shown == is_shown
    assert made.is_due(now) == is_shown


def test_a_notice_reaches_the_topics_of_its_boards_alone(board, staff_board):
    """Its boards are its topics, so that a private board keeps its notices to itself."""
    notice(board)
    notice(staff_board, shows_from=timezone.now() + HOUR)

    rows = [read_topic(f"notices.{each.pk}").rows for each in [board, staff_board]]

    assert [*map(len, rows)] == [1, 0]


@pytest.mark.parametrize("level", Level)
def test_a_level_is_a_word_too(board, level):
    """Not every viewer can see colours."""
    placed = notice(board, level=level).boards.through.objects.get()

    html = str(registry["notices"].row(placed).html)
    assert str(level.label) in html
    assert f"notice-{level.value}" in html


def test_no_text_of_a_notice_becomes_markup(client, board):
    made = Notice.objects.create(text=EVIL)
    made.boards.set([board])

    assert "<script>alert" not in page(client, board)


def test_private_boards_are_announced_on_by_those_who_see_them(editor_client, board):
    """A board that is made later has no older notices."""
    announce(editor_client, board, everywhere="on")
    later = Board.objects.create(slug="later", title="Later")

    assert "Pier 2 is closed" not in page(editor_client, later)


def test_an_editor_announces_for_later_and_on_some_days(editor_client, board):
    """By the clock of the board; it is listed, and shown when the job finds that it is time."""
    board.time_zone = "Asia/Kathmandu"
    board.save()
    today = timezone.localtime(timezone.now(), board.zone)
    day = str(today.isoweekday())

    announce(editor_client, board, begins="2020-01-01T08:40", ends="2090-01-01T00:00", weekdays=[day])
    announce(editor_client, board, begins="2090-01-01T08:40", text="Later")
    announce(editor_client, board, text="Other days", weekdays=[each for each in "1234567" if each != day])

    now, later, others = Notice.objects.order_by("pk")
    assert now.shows_from.isoformat() == "2020-01-01T02:55:00+00:00"
    assert [each.is_shown for each in (now, later, others)] == [True, False, False]
    html = page(editor_client, board)
    assert "not now; from 1 Jan 08:40" in html
    Notice.objects.update(is_shown=False)
    assert write_due() == 1
    assert Notice.objects.get(is_shown=True) == now


def test_the_admin_shows_times_of_a_notice_by_the_clock_of_its_boards(editor_client, board):
    board.time_zone = "Asia/Kathmandu"
    board.save()
    sent = {"text": "Later", "level": "info", "boards": [board.pk], "shows_from": "2030-01-01T08:40"}

    response = editor_client.post(reverse("admin:boards_notice_add"), sent)

    assert response.status_code == 302, response.content.decode()
    made = Notice.objects.get()
    assert made.shows_from.isoformat() == "2030-01-01T02:55:00+00:00"
    html = editor_client.get(reverse("admin:boards_notice_change", args=[made.pk])).content.decode()
    assert 'value="2030-01-01T08:40"' in html
    assert "By the clock of Asia/Kathmandu." in html
