"""The desk: the list of screens, and what an editor does with them."""

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from realtime.boards.builds import build
from realtime.boards.models import Board, Screen

LIST = "admin:boards_screen_changelist"


@pytest.fixture
def screen(paired):
    return paired[1]


def page(client):
    return client.get(reverse(LIST)).content.decode()


def act(client, action, *screens):
    return client.post(reverse(LIST), {"action": action, "_selected_action": [each.pk for each in screens]})


def test_the_list_has_what_an_editor_asks(editor_client, screen, open_screen):
    """Whether each is online, since when it is silent, its size, board and version; not those that wait."""
    open_screen()
    Screen.objects.filter(pk=screen.pk).update(is_online=True, size="1920x1080", version=build())

    html = page(editor_client)

    assert all(text in html for text in ["Pier 2", "online", "1920x1080", "current", "The quay", "1 screen"])
    Screen.objects.filter(pk=screen.pk).update(
        is_online=False, absent_since="2001-01-01T00:00Z", version="0a1b"
    )
    html = page(editor_client)
    assert "silent for" in html
    assert "0a1b (not current)" in html


def test_screens_are_reloaded_and_identified_from_the_list(editor_client, screen):
    for action in ["ask_reload", "identify"]:
        act(editor_client, action, screen)

    changed = Screen.objects.get()
    assert changed.orders != screen.orders
    assert changed.identify_until is not None
    assert LogEntry.objects.filter(object_id=screen.pk, action_flag=2).count() == 2


def test_another_board_is_chosen_in_the_list(editor_client, screen):
    other = Board.objects.create(slug="other", title="Other")
    form = {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "form-0-id": screen.pk, "form-0-board": other.pk}

    response = editor_client.post(reverse(LIST), form | {"_save": "Save"})

    assert response.status_code == 302
    assert Screen.objects.get().board == other


def test_saving_a_screen_leaves_alone_what_others_write(editor_client, screen, monkeypatch):
    """Its page and the job write while the form is open, and between the reading and the writing of a row."""
    original = Screen.full_clean

    def full_clean(self, *args, **kwargs):
        Screen.objects.update(is_online=True, size="3840x2160")
        return original(self, *args, **kwargs)

    monkeypatch.setattr(Screen, "full_clean", full_clean)
    address = reverse("admin:boards_screen_change", args=[screen.pk])
    editor_client.post(
        address, {"name": "Pier 3", "seconds": "20", "board": "", "dim_from": "", "dim_until": ""}
    )

    saved = Screen.objects.get()
    assert (saved.name, saved.seconds, saved.board) == ("Pier 3", 20, None)
    assert (saved.is_online, saved.size) == (True, "3840x2160")


@pytest.mark.parametrize(
    "field, value", [("name", ""), ("seconds", "1"), ("seconds", "99999"), ("dim_from", "25")]
)
def test_a_screen_has_valid_settings(editor_client, open_screen, pair, field, value):
    _, screen = open_screen()

    assert pair(screen.code, **{field: value}).status_code == 200
    assert Screen.objects.get().is_waiting


def test_a_deleted_screen_asks_for_a_code_again(editor_client, paired):
    browser, screen = paired

    editor_client.post(reverse("admin:boards_screen_delete", args=[screen.pk]), {"post": "yes"})

    assert "Connect this screen" in browser.get("/screen/").content.decode()


def test_a_list_of_screens_takes_no_regular_expression(editor_client, screen):
    assert editor_client.get(reverse(LIST), {"name__regex": "(x+x+)+y"}).status_code == 400
