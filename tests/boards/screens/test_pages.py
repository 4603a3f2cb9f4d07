"""The page of a screen: its code, its boards, or why there are none."""

import re

import pytest

from realtime.boards.models import Board, Screen
from realtime.boards.screens.pages import qr

PAGE = "/screen/"


def test_a_new_screen_shows_a_code_and_a_picture_of_the_desks_address(open_screen):
    """Without scripts it loads again when the code has expired."""
    browser, screen = open_screen()

    html = browser.get(PAGE).content.decode()

    assert f"<span>{screen.code[:3]}</span> <span>{screen.code[3:]}</span>" in html
    assert "<svg" in html
    assert int(re.search(r'http-equiv="refresh" content="(\d+)"', html)[1]) <= 602
    assert not re.search(r" style=|<style", html)


def test_the_picture_leads_to_the_form_with_the_code(editor_client, open_screen, monkeypatch):
    """An editor scans it with a telephone in front of the screen."""
    drawn: list[str] = []

    def draw(text):
        drawn.append(text)
        return ""

    monkeypatch.setattr("realtime.boards.screens.pages.qr", draw)
    _, screen = open_screen()

    [address] = drawn
    form = editor_client.get(address.removeprefix("http://testserver"))

    assert f'value="{screen.code}"' in form.content.decode()


def test_a_code_of_squares_is_svg_without_styles():
    svg = qr("http://testserver/admin/boards/screen/add/?code=ABC234")

    assert svg.startswith("<svg")
    assert "viewBox" in svg
    assert "style" not in svg


def test_a_paired_screen_shows_its_boards_in_turn(paired, editor_client):
    """The boards, their order and the layout are those of the desk, and the page follows its own topic."""
    browser, screen = paired
    more = Board.objects.create(slug="more", title="More")
    screen.then.add(more)
    Screen.objects.update(seconds=30, dim_from="22", dim_until="6")

    html = browser.get(PAGE).content.decode()

    assert re.findall(r"<h1>(.*?)</h1>", html) == ["The quay", "More"]
    assert 'data-seconds="30" data-dim-from="22" data-dim-until="6"' in html
    assert f'topic="screens.{screen.topic}"' in html


@pytest.mark.parametrize("way", ["not chosen", "deleted", "made private"])
def test_a_screen_without_a_board_says_so_and_follows_the_desk(paired, board, way):
    browser, screen = paired
    if way == "not chosen":
        Screen.objects.update(board=None)
    elif way == "deleted":
        board.delete()
    else:
        Board.objects.update(is_public=False)

    html = browser.get(PAGE).content.decode()

    assert "Choose a board for this screen at the desk" in html
    assert "Pier 2" in html
    assert "The quay" not in html
    assert f'topic="screens.{screen.topic}"' in html


def test_a_private_board_is_shown_where_staff_has_signed_in(paired, editor, staff_board):
    """A screen has no rights of its own."""
    browser, _ = paired
    Screen.objects.update(board=staff_board)
    assert "Harbour safe" not in browser.get(PAGE).content.decode()

    browser.force_login(editor)
    response = browser.get(PAGE)

    assert "Harbour safe" in response.content.decode()
    assert "Wall-Copy" not in response


def test_a_request_for_the_time_makes_no_new_screen(client, db):
    response = client.head(PAGE)

    assert response.status_code == 200
    assert "Server-Time" in response
    assert not Screen.objects.exists()


def test_the_page_has_its_orders_from_the_row_that_it_was_made_of(paired):
    """A change since then makes it differ from the live row, so that the page loads again."""
    browser, screen = paired

    html = browser.get(PAGE).content.decode()

    assert html.count(f'data-orders="{screen.orders}"') == 2
    assert screen.orders
