"""The topic of a screen, and the clients that may follow it: those with its secret, which only its page has."""

from typing import Any, cast

import pytest
from django.contrib.auth.models import AnonymousUser

from realtime.boards.models import Board, Screen
from realtime.feeds import registry
from realtime.publishing.positions import read_topic
from tests.support.contents import html_of


def orders(screen):
    rows = read_topic(f"screens.{screen.topic}").rows
    return [html_of(row) for row in rows]


def test_the_topic_of_a_screen_is_open_to_those_who_have_its_secret(paired, editor):
    """An editor too needs the secret to follow it; a made-up topic belongs to no screen."""
    feed, (_, screen) = registry["screens"], paired

    for user in [AnonymousUser(), editor]:
        assert feed.can_subscribe(user, screen.topic)
        assert [*cast(Any, feed.visible_topics(user, [screen.topic, "0" * 32]))] == [screen.topic]
        assert not feed.can_subscribe(user, "0" * 32)


def test_a_screen_that_waits_has_no_orders(open_screen, pair):
    """The row that appears when it is paired lets its page load again."""
    _, screen = open_screen()
    assert orders(screen) == []

    pair(screen.code)

    assert len(orders(screen)) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda screen, other: Screen.objects.update(board=other),
        lambda screen, other: screen.then.add(other),
        lambda screen, other: Screen.objects.update(seconds=30),
        lambda screen, other: Screen.objects.update(dim_from="22"),
        lambda screen, other: Screen.objects.update(reload_asked="2026-11-26T12:00:00Z"),
    ],
    ids=["board", "in turn", "seconds", "dimming", "reload"],
)
def test_orders_change_with_what_the_page_is_to_show(paired, change):
    _, screen = paired
    [before] = orders(screen)

    change(screen, Board.objects.create(slug="other", title="Other"))

    [after] = orders(screen)
    assert after != before


def test_orders_stay_when_the_job_or_the_screen_writes(paired):
    """The page must not load again for its own report."""
    _, screen = paired
    before = screen.orders

    Screen.objects.update(is_online=True, last_heard="2026-11-26T12:00:00Z", size="1920x1080", version="0a1b")

    assert Screen.objects.get().orders == before


def test_no_name_becomes_markup(paired):
    _, screen = paired
    Screen.objects.update(name='"><script>alert(1)</script>')

    assert "<script" not in orders(screen)[0]


def test_the_list_of_screens_is_for_staff_and_has_no_secret(paired, editor):
    feed = registry["screenlist"]

    assert feed.can_subscribe(editor, None)
    assert not feed.can_subscribe(AnonymousUser(), None)
    assert {*feed.fields} == {"name", "is_online"}
