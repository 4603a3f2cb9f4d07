"""Boards to start from."""

import pytest
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import translation

from realtime.boards.kinds import KINDS
from realtime.boards.models import Board, Revision


def make(client, **form):
    sent = {"kind": "departures", "title": "Pier 7", "slug": "pier-7", "is_public": "on"}
    return client.post(reverse("boards:new"), sent | form)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_board_begins_with_the_rows_of_its_kind(editor_client, board, kind):
    """The page of the new board shows all of them, in a browser without scripts too."""
    response = make(editor_client, kind=kind.name)

    made = Board.objects.get(slug="pier-7")
    assert response["Location"] == made.get_absolute_url()
    html = editor_client.get(made.get_absolute_url()).content.decode()
    for row in kind.rows:
        label = row[1] if isinstance(row[0], int) else row[0]
        assert str(label) in html
    assert str(kind.headings[0]) in html
    assert made.position > board.position
    assert {entry.status for entry in made.entries.all()} <= {
        "",
        *made.statuses.values_list("name", flat=True),
    }


def test_the_page_offers_all_kinds(editor_client):
    html = editor_client.get(reverse("boards:new")).content.decode()

    for kind in KINDS:
        assert f'value="{kind.name}"' in html
        assert str(kind.title) in html
    assert ">Address:</label>" in html
    assert reverse("boards:new") in editor_client.get("/").content.decode()


@pytest.mark.parametrize(
    "form, words",
    [
        ({"slug": "quay"}, "A board with this address already exists; choose another."),
        ({"kind": "unknown"}, "Select a valid choice"),
        ({"time_zone": "Mars/Olympus"}, "There is no time zone"),
        ({"title": ""}, "This field is required"),
    ],
    ids=str,
)
def test_a_board_that_cannot_be_made_is_refused_with_the_reason(editor_client, board, form, words):
    response = make(editor_client, **form)

    assert words in response.content.decode()
    assert Board.objects.count() == 1


def test_only_editors_make_boards(client, visitor, board):
    """A user who may not add entries, too, gets neither the link nor the page."""
    visitor.user_permissions.set(Permission.objects.filter(codename="add_board"))
    for user in [None, visitor]:
        if user:
            client.force_login(user)
        assert make(client).status_code == 302
        assert reverse("boards:new") not in client.get("/").content.decode()
    assert Board.objects.count() == 1


def test_a_new_board_has_an_author(editor_client, editor, settings):
    """In the log of the admin and in the history, which otherwise would call its rows those of a program."""
    settings.BOARDS_HISTORY_DAYS = 30

    make(editor_client)

    made = Board.objects.get(slug="pier-7")
    logged = LogEntry.objects.filter(user=editor, action_flag=ADDITION)
    rows = made.entries.count()
    assert rows
    assert sorted(logged.values_list("content_type__model", flat=True)) == ["board", *["entry"] * rows]
    assert [*Revision.objects.filter(board=made.pk).values_list("actor", flat=True)] == [editor.pk] * (
        1 + rows
    )


def test_boards_are_made_by_staff(client, visitor):
    """As for all other pages of editors: other users may not even see a board that is not public."""
    visitor.user_permissions.set(Permission.objects.filter(codename__in=["add_board", "add_entry"]))
    client.force_login(visitor)

    assert client.get(reverse("boards:new")).status_code == 404
    assert make(client).status_code == 404
    assert not Board.objects.exists()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_board_begins_in_its_own_language(editor_client, board, kind):
    """Whatever the language of the editor who makes it."""
    make(editor_client, kind=kind.name, language="de")

    made = Board.objects.get(slug="pier-7")
    with translation.override("de"):
        headings = [str(text) for text in kind.headings]
        words = [str(word) for _, word, _, _ in kind.statuses]
    assert [made.label_heading, made.value_heading, made.status_heading, made.note_heading] == headings
    assert [status.word for status in made.own_statuses] == words


@pytest.mark.parametrize(
    "title, slug",
    [
        ("Pier 9", "pier-9"),
        ("The quay!", "the-quay"),
        ("Quay", "quay-2"),
        ("埠頭", "board"),
        ("x" * 80, "x" * 50),
    ],
)
def test_an_address_is_made_of_the_title(editor_client, board, title, slug):
    """Editors need not know what an address consists of; another board keeps its own."""
    response = make(editor_client, title=title, slug="")

    assert response["Location"] == reverse("boards:board", args=[slug])
    assert Board.objects.get(slug=slug).title == title


def test_a_zone_is_suggested(editor_client):
    html = editor_client.get(reverse("boards:new")).content.decode()

    assert '<option value="Europe/Oslo"></option>' in html
    assert "posixrules" not in html
