"""Codes and tokens: short-lived, for one screen, not to be guessed."""

from datetime import timedelta

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from realtime.boards.models import Screen
from realtime.boards.screens import pairing
from realtime.feeds import registry
from realtime.rows.visibility import visible

PAGE = "/screen/"


def errors(response):
    return str(response.context["adminform"].form.errors)


@pytest.mark.parametrize(
    "typed",
    ["{}", "{lower}", " {first} {second} ", "{first}-{second}"],
    ids=["as shown", "lower case", "spaces", "dash"],
)
def test_an_editor_pairs_a_screen_by_its_code(open_screen, pair, board, typed):
    """However it is typed; afterwards the screen shows the board."""
    browser, screen = open_screen()
    code = screen.code
    parts = {"lower": code.lower(), "first": code[:3], "second": code[3:]}

    assert pair(typed.format(code, **parts), board=board.pk).status_code == 302

    screen.refresh_from_db()
    assert (screen.name, screen.board, screen.code) == ("Pier 2", board, None)
    assert "The quay" in browser.get(PAGE).content.decode()


def test_a_code_is_valid_once(open_screen, pair, board):
    _, screen = open_screen()
    pair(screen.code)

    again = pair(screen.code, name="Another")

    assert "No screen shows this code" in errors(again)
    assert Screen.objects.get().name == "Pier 2"


def test_a_code_is_valid_for_a_short_time_and_then_replaced(open_screen, pair):
    """The screen keeps its token, and shows another code."""
    browser, screen = open_screen()
    Screen.objects.update(code_until=timezone.now() - timedelta(seconds=1))

    assert "No screen shows this code" in errors(pair(screen.code))
    browser.get(PAGE)

    renewed = Screen.objects.get()
    assert (renewed.pk, renewed.topic) == (screen.pk, screen.topic)
    assert renewed.code != screen.code
    assert pair(renewed.code).status_code == 302


@pytest.mark.parametrize(
    "typed", ["", "AAAAAA", "A" * 20, "\0" * 6, "\ud800AAAAA", "ÄÖÜßéè", "%%%%%%", "١٢٣٤٥٦"]
)
def test_a_wrong_code_pairs_nothing(open_screen, pair, typed, storable_queries):
    open_screen()

    with storable_queries():
        response = pair(typed.encode("utf-8", "surrogatepass"))

    assert response.status_code == 200
    assert not Screen.objects.exclude(name="").exists()


def test_codes_cannot_be_guessed_by_trying(open_screen, pair):
    """Ten wrong ones, then the right one is refused too, until some time has passed."""
    _, screen = open_screen()
    for _ in range(pairing.WRONG_AT_ONCE):
        pair("AAAAAA")

    response = pair(screen.code)

    assert "Too many wrong codes. Try again in" in errors(response)
    assert Screen.objects.get().is_waiting


@pytest.mark.parametrize("who", ["anonymous", "visitor", "without the right"])
def test_only_editors_pair_screens(open_screen, client, visitor, editor, who):
    _, screen = open_screen()
    if who != "anonymous":
        user = visitor if who == "visitor" else editor
        user.groups.clear()
        client.force_login(user)

    response = client.post(
        reverse("admin:boards_screen_add"), {"screen_code": screen.code, "name": "Mine", "seconds": 12}
    )

    assert response.status_code in (302, 403)
    assert Screen.objects.get().is_waiting


def test_a_token_is_kept_by_the_browser_for_the_page_of_screens_and_stored_as_a_digest(db):
    browser = Client()

    browser.get(PAGE, secure=True)

    cookie = browser.cookies[pairing.COOKIE]
    assert cookie["path"] == PAGE
    assert (cookie["httponly"], cookie["secure"], cookie["samesite"]) == (True, True, "Lax")
    assert cookie.value not in str(Screen.objects.values().get())
    assert len(cookie.value) >= 40


@pytest.mark.parametrize("token", ["", "wrong", "\u00e9", "a" * 5000])
def test_a_token_of_no_screen_is_replaced(open_screen, token):
    """As that of a screen that was deleted at the desk: it shows a code again."""
    open_screen()
    browser = Client()
    browser.cookies[pairing.COOKIE] = token

    response = browser.get(PAGE)

    assert response.status_code == 200
    assert Screen.objects.count() == 2


@pytest.fixture
def few(monkeypatch):
    """Five screens may wait, three of one address."""
    monkeypatch.setattr(pairing, "MAX_WAITING", 5)
    monkeypatch.setattr(pairing, "MAX_WAITING_PER_ADDRESS", 3)


def codes():
    return {*Screen.objects.filter(name="").values_list("code", flat=True)}


@pytest.mark.usefixtures("few")
def test_the_screens_that_wait_are_limited_for_each_address_and_in_all(open_screen):
    """Programs that request the page again and again cannot fill the table, or keep a screen from getting a code."""
    for number in range(4):
        for _ in range(10):
            open_screen(REMOTE_ADDR=f"192.0.2.{number}")
            of_address = Screen.objects.filter(address=f"192.0.2.{number}")
            assert of_address.count() <= 3
            assert Screen.objects.count() <= 5
    assert Screen.objects.count() == 5


@pytest.mark.usefixtures("few")
def test_a_further_screen_replaces_the_one_of_its_address_that_waits_longest(open_screen, pair):
    """Screens of other addresses and paired ones stay; the code of the replaced one is no longer valid."""
    _, other = open_screen(REMOTE_ADDR="192.0.2.2")
    pair(open_screen(REMOTE_ADDR="192.0.2.1")[1].code, name="Paired")
    browser, first = open_screen(REMOTE_ADDR="192.0.2.1")
    later = [open_screen(REMOTE_ADDR="192.0.2.1")[1].code for _ in range(3)]

    assert codes() == {other.code, *later}
    assert Screen.objects.filter(name="Paired").exists()
    assert "No screen shows this code" in errors(pair(first.code))
    browser.get(PAGE, REMOTE_ADDR="192.0.2.1")
    assert codes() >= {other.code, *later[1:]}
    assert len(codes()) == 4


@pytest.mark.usefixtures("few")
def test_a_further_screen_replaces_the_one_of_all_that_waits_longest(open_screen):
    """Also where its own address has none; a screen that has renewed its code has not waited long."""
    opened = [open_screen(REMOTE_ADDR=f"192.0.2.{number}") for number in range(5)]
    pairing.renew_code(opened[0][1])

    _, newest = open_screen(REMOTE_ADDR="192.0.2.9")

    assert codes() == {opened[0][1].code, *(screen.code for _, screen in opened[2:]), newest.code}


@pytest.mark.usefixtures("few")
def test_a_single_screen_of_an_address_stays_where_another_address_has_more(open_screen):
    """Where all together have enough, one makes room that is of the address with the most."""
    _, patient = open_screen(REMOTE_ADDR="192.0.2.1")
    for _ in range(4):
        open_screen(REMOTE_ADDR=f"192.0.2.{2 + Screen.objects.count() % 2}")

    for number in range(2):
        open_screen(REMOTE_ADDR=f"192.0.2.{7 + number}")

    assert patient.code in codes()


def test_a_code_that_is_renewed_while_an_editor_types_it_undoes_no_pairing(open_screen, pair):
    """The page of the screen has read it before the editor's transaction ends."""
    _, screen = open_screen()
    pair(screen.code)

    pairing.renew_code(screen)

    assert Screen.objects.get().name == screen.name == "Pier 2"
    assert Screen.objects.get().code is None


@pytest.mark.usefixtures("few")
def test_a_replaced_screen_loses_its_topic(open_screen, anonymous):
    """So its page, which follows it, notices; it reports nothing about the one in its place, and shows a new code."""
    browser, screen = open_screen()
    for _ in range(3):
        open_screen()
    feed = registry["screens"]

    assert not feed.can_subscribe(anonymous, screen.topic)
    assert not visible(feed, anonymous, [screen.topic])
    html = browser.get(PAGE).content.decode()
    assert screen.topic not in html
    assert "Connect this screen" in html


def test_screens_that_are_never_paired_are_forgotten(open_screen, paired):
    """Screens whose codes expired an hour ago are deleted; paired ones stay."""
    _, recent = open_screen()
    _, old = open_screen()
    expired = timezone.now() - pairing.FORGOTTEN_AFTER - timedelta(seconds=1)
    Screen.objects.filter(pk=old.pk).update(code_until=expired)

    pairing.remove_forgotten()

    assert {*Screen.objects.values_list("pk", flat=True)} == {recent.pk, paired[1].pk}


def test_two_screens_never_show_one_code(open_screen, monkeypatch):
    """Another one is drawn."""
    codes = iter("AAAAAA" + "AAAAAA" + "BBBBBB")
    monkeypatch.setattr("secrets.choice", lambda characters: next(codes))

    assert [open_screen()[1].code for _ in range(2)] == ["AAAAAA", "BBBBBB"]


def test_the_characters_of_a_code_do_not_look_alike():
    assert not {*pairing.CHARACTERS} & {*"01IOL"}
    assert len(pairing.CHARACTERS) ** pairing.LENGTH > 5e8


def test_a_token_is_renewed_by_each_view(open_screen, rf):
    response = HttpResponse()

    pairing.keep_token(response, rf.get(PAGE), "token")

    assert response.cookies[pairing.COOKIE]["max-age"] == pairing.COOKIE_SECONDS
