"""Viewers' contributions on the page of a board: none where all of them are off."""

import pytest
from django.urls import reverse

from realtime.boards.voices import context
from realtime.boards.voices.models import State


def page(client, board):
    return client.get(board.get_absolute_url()).content.decode()


def test_a_board_on_which_all_is_off_needs_nothing(rf, board, anonymous, django_assert_num_queries):
    request = rf.get("/")
    request.user = anonymous

    with django_assert_num_queries(0):
        assert context.viewers_part(request, board) == {}


def test_a_page_without_contributions_loads_nothing_for_them(client, board, entry):
    html = page(client, board)

    assert "voices" not in html
    assert "csrfmiddlewaretoken" not in html


def test_a_page_has_the_forms_that_are_on(client, open_board, entry):
    open_board.messages.create(text="Shown to all", state=State.SHOWN)
    open_board.messages.create(text="Not yet")

    html = page(client, open_board)

    assert "Shown to all" in html
    assert "Not yet" not in html
    assert f'value="{entry.pk}.heart"' in html
    assert f'topic="viewers.{open_board.pk}"' in html
    assert 'id="moderate"' not in html


def test_a_page_that_is_not_counted_yet_shows_no_number(client, open_board, monkeypatch):
    """It would say that nobody is watching, to somebody who is."""
    assert f'<live-viewers topic="viewers.{open_board.pk}"></live-viewers>' in page(client, open_board)

    monkeypatch.setattr("realtime.presence.viewers", lambda topic: 3)
    assert f'<live-viewers topic="viewers.{open_board.pk}">3</live-viewers>' in page(client, open_board)


def test_an_editor_sees_what_waits(editor_client, open_board):
    open_board.messages.create(text="Not yet")

    html = page(editor_client, open_board)

    assert "Not yet" in html
    assert 'form="moderate" name="show"' in html


@pytest.mark.parametrize("is_on_walls", [True, False])
def test_a_wall_shows_messages_if_an_editor_wants_it(client, open_board, is_on_walls):
    open_board.messages.create(text="Shown to all", state=State.SHOWN)
    open_board.messages_on_walls = is_on_walls
    open_board.save()

    html = client.get(reverse("boards:wall", args=[open_board.slug])).content.decode()

    assert ("Shown to all" in html) is is_on_walls
    assert "<form" not in html


def test_a_frame_on_another_site_has_nothing_that_writes(client, open_board, entry):
    html = client.get(reverse("boards:embed", args=[open_board.slug])).content.decode()

    assert "<form" not in html
    assert "voices" not in html
