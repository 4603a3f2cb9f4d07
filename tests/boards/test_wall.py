"""The page of a wall as the server renders it; tests/browser/test_wall.py has what a screen makes of it."""

import re
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from realtime.boards import wall as wall_module
from realtime.boards.models import Board
from realtime.boards.wall import MAX_BOARDS, WallForm


def wall(client, board, query=""):
    response = client.get(reverse("boards:wall", args=[board.slug]) + query)
    assert response.status_code == 200
    return response.content.decode()


def titles(html):
    return re.findall(r"<h1>(.*?)</h1>", html)


def test_a_wall_has_the_rows_the_time_and_no_navigation(client, board, entry):
    """Without scripts it is whole, and loads again every minute."""
    html = wall(client, board)

    assert all(
        text in html
        for text in ["The quay", "Saltmere", "06:40", 'class="wall-clock"', 'http-equiv="refresh"']
    )
    assert "<nav" not in html
    assert not re.search(r" style=|<style", html)


def test_boards_are_shown_in_the_order_of_the_address(client, board):
    """One that has been deleted meanwhile takes no other off the screen."""
    for slug in ["a", "b", "c"]:
        Board.objects.create(slug=slug, title=slug.upper())

    assert titles(wall(client, board, "?then=c&then=gone&then=a&then=quay")) == ["The quay", "C", "A"]


def test_a_wall_shows_no_board_that_its_viewer_may_not_see(client, board, staff_board, editor):
    """Neither as the first, nor in turn, nor in the form that leads to a wall."""
    address = reverse("boards:wall", args=[staff_board.slug])

    assert client.get(address).status_code == 404
    assert titles(wall(client, board, "?then=safe")) == ["The quay"]
    assert "Harbour safe" not in client.get(board.get_absolute_url()).content.decode()

    client.force_login(editor)
    assert client.get(address).status_code == 200
    assert titles(wall(client, board, "?then=safe")) == ["The quay", "Harbour safe"]
    assert "Harbour safe" in client.get(board.get_absolute_url()).content.decode()


def test_a_wall_follows_a_limited_number_of_boards(client, board):
    """Each is a subscription."""
    slugs = [Board.objects.create(slug=f"b{number}", title="B").slug for number in range(MAX_BOARDS + 5)]

    html = wall(client, board, "?" + "&".join(f"then={slug}" for slug in slugs))

    assert html.count('class="wall-board"') == MAX_BOARDS


@pytest.mark.parametrize(
    "query", ["?seconds=0", "?seconds=-1", "?seconds=x", "?dim_from=24", "?dim_until=x", "?seconds="]
)
def test_a_wall_ignores_what_is_not_valid(client, board, query):
    """A screen must always show something."""
    html = wall(client, board, query)

    assert 'data-seconds="12" data-dim-from="" data-dim-until=""' in html


@pytest.mark.parametrize("query", ["?then=%00", "?then=a%00b&then=more", "?seconds=%00&dim_from=%00"])
def test_a_wall_queries_no_text_that_the_database_cannot_store(client, board, query, storable_queries):
    """PostgreSQL rejects a query with a null character. The other boards of the address are shown."""
    Board.objects.create(slug="more", title="More")

    with storable_queries():
        assert titles(wall(client, board, query + "&then=more")) == ["The quay", "More"]


@pytest.mark.parametrize("method", ["get", "head"])
def test_a_wall_states_the_time_of_the_server(client, board, method):
    """In a header of its own, which the script asks for: not every server sends Date."""
    before = timezone.now().timestamp()

    response = getattr(client, method)(reverse("boards:wall", args=[board.slug]))

    assert before - 0.001 <= float(response["Server-Time"]) <= timezone.now().timestamp()
    assert "Date" not in response, "uvicorn adds one: scripts would read both, as one text"
    script = Path(wall_module.__file__).parent / "static" / "boards" / "wall" / "server-clock.js"
    assert 'headers.get("Server-Time")' in script.read_text()


def test_a_board_leads_to_its_wall(editor_client, board):
    """Users by a form, and visitors, whose page is to be small, by a link."""
    address = reverse("boards:wall", args=["quay"])
    of_visitor, of_user = (
        each.get(board.get_absolute_url()).content.decode() for each in (Client(), editor_client)
    )

    assert f'href="{address}"' in of_visitor
    assert f'action="{address}"' in of_user
    assert all(f'name="{name}"' in of_user for name in ["seconds", "dim_from", "dim_until"])


def test_choices_are_the_valid_values_and_defaults(board, anonymous):
    choices = WallForm(board, anonymous, {"seconds": "30", "dim_from": "22"}).choices

    assert (choices["seconds"], choices["dim_from"], choices["dim_until"]) == (30, "22", "")


def test_the_clock_of_a_wall_is_that_of_its_board(client, board):
    """The name and the offset, for browsers that do not know the name."""
    Board.objects.filter(pk=board.pk).update(time_zone="Asia/Kathmandu")

    assert 'data-zone="Asia/Kathmandu" data-offset="20700"' in wall(client, board)
