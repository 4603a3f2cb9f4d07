"""The desk: the list of screens, and what an editor does with them."""

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from realtime.boards.builds import build
from realtime.boards.models import Board, Screen

from ..test_shared_forms import Form

LIST = "admin:boards_screen_changelist"


@pytest.fixture
def screen(paired):
    return paired[1]


def page(client):
    return client.get(reverse(LIST)).content.decode()


def act(client, action, *screens):
    return client.post(reverse(LIST), {"action": action, "_selected_action": [each.pk for each in screens]})


def test_the_list_shows_the_state_of_each_screen(editor_client, screen, open_screen):
    """Whether each is online, or since when it is silent, its size, board and version; without waiting screens."""
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


@pytest.fixture
def boards(board):
    """Three boards beside that of the screen."""
    return [Board.objects.create(slug=slug, title=slug.title()) for slug in ("north", "south", "west")]


def two_screens(boards):
    """Return two paired screens, which show the first board."""
    return [
        Screen.objects.create(token_digest=name, topic=name, name=name, board=boards[0])
        for name in ("S1", "S2")
    ]


def form_of(screen):
    return reverse("admin:boards_screen_change", args=[screen.pk])


def test_two_lists_of_screens_overwrite_nothing(editor_client, boards):
    """The one that was loaded earlier writes the screen that its editor has changed, and no other."""
    first, second = two_screens(boards)
    older = Form(editor_client.get(reverse(LIST)))
    newer = Form(editor_client.get(reverse(LIST)))
    editor_client.post(reverse(LIST), newer.sent | {f"{newer.row(second)}board": boards[1].pk})

    editor_client.post(reverse(LIST), older.sent | {f"{older.row(first)}board": boards[2].pk})

    shown = dict(Screen.objects.values_list("name", "board__title"))
    assert shown == {"S1": "West", "S2": "South"}


def test_two_editors_who_choose_a_board_for_one_screen_are_asked(editor_client, boards):
    first, _ = two_screens(boards)
    older = Form(editor_client.get(reverse(LIST)))
    Screen.objects.filter(pk=first.pk).update(board=boards[1])

    response = editor_client.post(reverse(LIST), older.sent | {f"{older.row(first)}board": boards[2].pk})

    assert "Changed meanwhile to “South”; you entered “West”" in response.content.decode()
    assert Screen.objects.get(pk=first.pk).board == boards[1]


@pytest.mark.parametrize("name, value", [("seconds", 30), ("board", "south"), ("name", "Gate"), ("then", "")])
def test_a_form_of_a_screen_writes_what_its_editor_has_changed(editor_client, boards, name, value):
    """Each other value stays as another editor has set it meanwhile, the boards in turn among them."""
    first, _ = two_screens(boards)
    form = Form(editor_client.get(form_of(first)))
    Screen.objects.filter(pk=first.pk).update(name="Hall", seconds=20, board=boards[2], dim_from="7")
    first.then.set([boards[2]])
    kept = {"name": "Hall", "seconds": 20, "board": boards[2], "dim_from": "7"}
    mine = {"dim_until": "9"}
    if name == "then":
        first.then.set([])
        mine["then"] = boards[1].pk
    else:
        kept.pop(name)
        Screen.objects.filter(pk=first.pk).update(**{name: getattr(first, name)})
        mine[name] = boards[1].pk if name == "board" else value

    assert editor_client.post(form_of(first), form.sent | mine).status_code == 302

    saved = Screen.objects.get(pk=first.pk)
    assert {key: getattr(saved, key) for key in kept} == kept
    assert saved.dim_until == "9"
    assert [*saved.then.all()] == [boards[1] if name == "then" else boards[2]]


def test_two_editors_who_choose_the_boards_in_turn_are_asked(editor_client, boards):
    first, _ = two_screens(boards)
    form = Form(editor_client.get(form_of(first)))
    first.then.set([boards[1], boards[2]])

    mine = form.sent | {"then": boards[0].pk}
    response = editor_client.post(form_of(first), mine)

    assert "Changed meanwhile to “South, West”; you entered “North”" in response.content.decode()
    assert {*first.then.all()} == {*boards[1:]}
    again = Form(response)
    editor_client.post(form_of(first), again.sent | {"then": boards[0].pk})
    assert [*first.then.all()] == [boards[0]]


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
