"""Secret links: they let a browser see one board until they are revoked, and are written down nowhere."""

import logging
from datetime import timedelta

import pytest
from django.contrib.auth import SESSION_KEY, get_user_model
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from realtime.access.budgets import Budgets
from realtime.access.visitors import Visitor, load_user
from realtime.boards.live import BoardFeed, EntryFeed, NoticeFeed
from realtime.boards.models import Board, BoardLink, Guest
from realtime.boards.sharing import links
from realtime.feeds import registry
from realtime.rows.visibility import visible

LINK = "/link/"
FEEDS = pytest.mark.parametrize("feed", [EntryFeed, BoardFeed, NoticeFeed])


@pytest.fixture(autouse=True)
def _guests_of_one_moment(monkeypatch):
    budgets = Budgets(links.GUESTS_PER_SECOND, links.GUESTS_AT_ONCE, lambda: 0.0)
    monkeypatch.setattr(links, "new_guests", budgets)


@pytest.fixture
def link(staff_board, editor):
    """A link to the private board, and its secret."""
    return BoardLink.make(staff_board, "lobby", editor)


def opened(text, client=None):
    """Return a browser in which a link was opened."""
    client = client or Client()
    assert client.post(LINK, {"code": text}).status_code == 302
    return client


def user_of(client):
    """Return the user to whom the engine assigns a browser."""
    return load_user(Visitor(client.session.session_key))


def test_a_link_leads_to_its_board(staff_board, link):
    """And to nothing else that is private; the pages of the site are those of a visitor."""
    other = Board.objects.create(slug="other", title="Other", is_public=False)
    client = Client()
    assert client.get(staff_board.get_absolute_url()).status_code == 404

    response = client.post(LINK, {"code": link[1]})

    assert response["Location"] == staff_board.get_absolute_url()
    page = client.get(response["Location"])
    assert page.status_code == 200
    assert b"Sign in" in page.content
    assert b"Sign out" not in page.content
    assert client.get(reverse("boards:wall", args=[staff_board.slug])).status_code == 200
    assert client.get(other.get_absolute_url()).status_code == 404
    assert client.get(reverse("boards:share", args=[staff_board.slug])).status_code == 302
    assert client.get(reverse("admin:index")).status_code == 302


@FEEDS
def test_a_guest_may_follow_the_feeds_of_the_board(staff_board, board, link, anonymous, feed):
    """By either way in which the engine asks."""
    guest = user_of(opened(link[1]))
    declared = registry[feed.name]
    other = Board.objects.create(slug="other", title="Other", is_public=False)
    keys = {board.pk, staff_board.pk, other.pk}

    assert visible(declared, guest, keys) == {board.pk, staff_board.pk}
    assert {key for key in keys if declared.can_subscribe(guest, key)} == {board.pk, staff_board.pk}
    assert visible(declared, anonymous, keys) == {board.pk}


@FEEDS
def test_a_revoked_link_ends_the_right_at_once(staff_board, link, feed):
    """The right depends on the table of links: the transaction that deletes one closes the topic before it is told."""
    client = opened(link[1])
    guest = user_of(client)
    declared = registry[feed.name]
    assert BoardLink in declared.rights_depend_on

    link[0].delete()

    assert not declared.can_subscribe(guest, staff_board.pk)
    assert not visible(declared, guest, [staff_board.pk])
    assert client.get(staff_board.get_absolute_url()).status_code == 404
    assert Client().post(LINK, {"code": link[1]}).status_code == 404


@FEEDS
def test_the_links_of_a_deactivated_account_show_nothing(staff_board, link, editor, feed):
    """Neither to a browser in which one was opened before; the engine asks again when Django changes a user."""
    client = opened(link[1])
    guest = user_of(client)
    declared = registry[feed.name]

    editor.is_active = False
    editor.save()

    assert not declared.can_subscribe(guest, staff_board.pk)
    assert not visible(declared, guest, [staff_board.pk])
    assert client.get(staff_board.get_absolute_url()).status_code == 404
    assert client.get(reverse("boards:wall", args=[staff_board.slug])).status_code == 404


def test_guests_are_not_taken_for_each_other(staff_board, board, link, anonymous, editor):
    """The engine asks once for all users of the same rights."""
    other = Board.objects.create(slug="other", title="Other", is_public=False)
    users = [
        user_of(opened(link[1])),
        user_of(opened(BoardLink.make(other, "x", editor)[1])),
        anonymous,
        editor,
    ]

    assert len({registry["entries"].same_rights(user) for user in users}) == 4


def test_a_browser_keeps_all_its_links(staff_board, board, link, editor):
    """Opening a second one does not close the first."""
    other = Board.objects.create(slug="other", title="Other", is_public=False)
    client = opened(link[1])

    opened(BoardLink.make(other, "hall", editor)[1], client)

    assert [client.get(each.get_absolute_url()).status_code for each in (staff_board, other)] == [200, 200]
    assert Guest.objects.count() == 1


def test_a_client_without_cookies_does_not_store_sessions_without_end(link, editor, board, monkeypatch):
    """Each opening would make a guest and a session, which are kept for a year. Other addresses are not affected."""
    monkeypatch.setattr(links, "new_guests", Budgets(0.1, 2, lambda: 0.0))
    known = opened(link[1])
    opened(link[1])

    refused = Client().post(LINK, {"code": link[1]})
    wrong = Client().post(LINK, {"code": "x"})
    elsewhere = Client(REMOTE_ADDR="192.0.2.7").post(LINK, {"code": link[1]})

    assert (refused.status_code, refused["Retry-After"]) == (429, "10")
    assert b"Try again in 10 s." in refused.content
    assert wrong.status_code == 404
    assert elsewhere.status_code == 302
    opened(BoardLink.make(board, "hall", editor)[1], known)  # it is a guest already
    assert Guest.objects.count() == Session.objects.count() == 3


def test_a_session_gets_a_new_key(staff_board, link, client):
    """One that an attacker has planted does not get the right."""
    client.get(LINK)
    session = client.session
    session["planted"] = True
    session.save()
    planted = session.session_key
    client.cookies["sessionid"] = planted

    opened(link[1], client)

    assert client.session.session_key != planted
    assert not Session.objects.filter(session_key=planted).exists()


def test_a_second_link_is_not_opened_in_a_planted_session(staff_board, link, editor):
    """An attacker who has a link of its own could plant the session of that, and would see the boards of the victim."""
    own = Board.objects.create(slug="own", title="Own", is_public=False)
    attacker = opened(BoardLink.make(own, "own", editor)[1])
    victim = Client()
    victim.cookies["sessionid"] = attacker.session.session_key

    opened(link[1], victim)

    assert victim.get(staff_board.get_absolute_url()).status_code == 200
    assert attacker.get(staff_board.get_absolute_url()).status_code == 404


def test_a_link_that_is_opened_again_leaves_the_session(link):
    """Its other pages stay connected."""
    client = opened(link[1])
    session = client.session.session_key

    opened(link[1], client)

    assert client.session.session_key == session


@pytest.mark.parametrize("code", ["", "x", "é" * 43, "a\0", "x" * 201])
def test_a_link_that_is_not_valid_is_not_found(client, link, code):
    """The page says so; no guest is made for it."""
    response = client.post(LINK, {"code": code})

    assert response.status_code == 404
    assert b"errorlist" in response.content
    assert not Guest.objects.exists()


def test_the_secret_is_in_no_address_log_or_cache(client, link, caplog):
    """Neither address, log, cache, referrer nor search engine: the secret is in the body of one request."""
    with caplog.at_level(logging.DEBUG):
        page, wrong = client.get(LINK), client.post(LINK, {"code": link[1] + "x"})
        right = client.post(LINK, {"code": link[1]})

    for response in (page, wrong, right):
        # Not no-referrer, with which browsers would send the form without an origin.
        assert response["Referrer-Policy"] == "same-origin"
        assert response["X-Robots-Tag"] == "noindex, nofollow"
        assert "no-store" in response["Cache-Control"]
    assert link[1] not in caplog.text
    assert link[1] not in right.url
    assert link[1] not in str([*Session.objects.values()]) + str(dict(client.session))


def test_a_get_request_to_a_link_opens_nothing(client, link):
    """Programs that make previews of messages request every address."""
    client.get(LINK)

    assert not Guest.objects.exists()
    assert not Session.objects.exists()


def test_staff_need_no_link(editor_client, editor, staff_board, link):
    """They stay signed in as the same user."""
    response = editor_client.post(LINK, {"code": link[1]})

    assert response.url == staff_board.get_absolute_url()
    assert editor_client.session[SESSION_KEY] == str(editor.pk)
    assert not Guest.objects.exists()


def test_a_user_without_the_right_is_not_signed_out(client, visitor, link):
    """The page says what to do."""
    client.force_login(visitor)

    response = client.post(LINK, {"code": link[1]})

    assert response.status_code == 403
    assert b"signed in as visitor" in response.content
    assert client.session[SESSION_KEY] == str(visitor.pk)


def test_a_guest_is_never_the_user_of_its_number(staff_board, link, client, db):
    """Keys in sessions are numbers of users; those of guests are negative."""
    client = opened(link[1])
    user = get_user_model().objects.create_user("same", pk=Guest.objects.get().pk, is_staff=True)

    assert int(client.session[SESSION_KEY]) == -user.pk
    assert not user_of(client).is_staff
    assert links.LinkBackend().get_user(user.pk) is None


def test_a_guest_who_signs_in_is_that_user(staff_board, link, editor):
    """The session is a new one."""
    client = opened(link[1])

    client.force_login(editor)

    assert user_of(client) == editor


def test_a_guest_is_forgotten_with_its_browser(staff_board, link):
    """Its session ends after a year, and so does the row."""
    client = opened(link[1])
    assert client.session.get_expiry_age() > timedelta(days=364).total_seconds()
    links.remove_old_guests()
    assert Guest.objects.count() == 1

    Guest.objects.update(opened_at=timezone.now() - timedelta(days=366))
    links.remove_old_guests()

    assert not Guest.objects.exists()
    assert client.get(staff_board.get_absolute_url()).status_code == 404


def test_opening_a_link_again_renews_the_guest(staff_board, link):
    """Its session is kept for a year from then, and so is the row: by the same link or by another one."""
    client = opened(link[1])
    for _ in range(2):
        Guest.objects.update(opened_at=timezone.now() - timedelta(days=364))
        opened(link[1], client)

    assert Guest.objects.get().opened_at > timezone.now() - timedelta(days=1)
    links.remove_old_guests()
    assert client.get(staff_board.get_absolute_url()).status_code == 200


def test_a_form_of_another_site_opens_nothing(link):
    """It could lead a visitor to a board of an attacker's choice."""
    client = Client(enforce_csrf_checks=True)

    assert client.post(LINK, {"code": link[1]}).status_code == 403
