"""A board's own values in its history: changed by any way, shown in words, and undone value by value."""

import pytest
from django.urls import reverse

from realtime.boards import history
from realtime.boards.models import Board, BoardStatus, Organisation, Revision
from realtime.boards.own_statuses import Colour
from realtime.changes import Change

from .test_shared_forms import Form

BOARDS = reverse("admin:boards_board_changelist")


@pytest.fixture(autouse=True)
def _kept(settings):
    settings.BOARDS_HISTORY_DAYS = 30


@pytest.fixture
def board(db):
    return Board.objects.create(slug="departures", title="Departures")


@pytest.fixture
def status(board):
    return board.statuses.create(name="late", word="Late", colour=Colour.WARNING, icon="clock", position=10)


def told(board):
    """Return the lines of the page of the history, oldest first."""
    items = [item for each in history.revisions(board) if (item := history.in_words(each, board))]
    return [(str(item["revision"].actor or ""), item["kind"], item["changes"]) for item in reversed(items)]


def noted(board, is_initial=False):
    """Call the function of on_change as the publisher does."""
    history.note_board(Change("upsert", "allboards", str(board.pk), None, "e.1", is_initial))


def address(board):
    return reverse("admin:boards_board_change", args=[board.pk])


def change(client, board, **values):
    """Change values in the form of a board."""
    form = Form(client.get(address(board)))
    answer = client.post(address(board), form.sent | values, follow=True)
    assert answer.redirect_chain


def undo(client, board, number=1, **data):
    """Undo the newest revision but some on the page of the history; return the messages."""
    revision = [*history.revisions(board)][number - 1]
    board.refresh_from_db()
    answer = client.post(reverse("boards:undo", args=[board.slug, revision.pk]), data, follow=True)
    assert answer.status_code == 200
    return [str(each) for each in answer.context["messages"]]


def test_a_change_in_the_form_is_recorded_in_words(editor_client, board):
    """Texts, switches, choices and rows by what editors call them; once, although the log reports it too."""
    organisation = Organisation.objects.create(name="Harbour")
    change(
        editor_client, board, title="Arrivals", sorting="time", shows_note="", organisation=organisation.pk
    )
    noted(board)

    ((who, kind, changes),) = told(board)
    assert (who, kind) == ("someone", "changed the board itself")
    assert sorted(changes) == [
        ("notes are shown", "yes", "no"),
        ("order", "By hand", "By time, the next first"),
        ("organisation", None, "Harbour"),
        ("title", "Departures", "Arrivals"),
    ]


def test_reactions_and_languages_are_named(editor_client, board):
    change(editor_client, board, reactions=["thumb", "heart"], language="de")

    ((_who, _kind, changes),) = told(board)
    assert sorted(changes) == [("language", "", "Deutsch"), ("reactions", "", "Thumbs up, Heart")]


def test_a_change_in_the_list_is_recorded(editor_client, board):
    form = Form(editor_client.get(BOARDS))

    editor_client.post(BOARDS, form.sent | {f"{form.row(board)}position": "70"})

    assert told(board) == [("someone", "changed the board itself", [("position", "0", "70")])]


def test_sites_that_may_embed_a_board_are_recorded(editor_client, board):
    page = editor_client.get(reverse("boards:share", args=[board.slug]))
    form = page.context["sites_form"]

    editor_client.post(
        reverse("boards:set_sites", args=[board.slug]),
        {"embed_origins": "https://example.com", "shown": form["shown"].value()},
    )

    ((_who, _kind, changes),) = told(board)
    assert changes == [("sites that may embed it", "", "https://example.com")]


def test_what_programs_write_is_recorded(board):
    """After the board as it was found, which is no change."""
    noted(board, is_initial=True)
    Board.objects.filter(pk=board.pk).update(title="By SQL")
    noted(board)
    noted(board)

    assert told(board) == [("", "changed the board itself", [("title", "Departures", "By SQL")])]


def test_an_undo_gives_the_values_back(editor_client, board):
    change(editor_client, board, title="Arrivals", note_heading="Gate")

    assert undo(editor_client, board) == ["Undone."]

    board.refresh_from_db()
    assert (board.title, board.note_heading) == ("Departures", "")
    assert undo(editor_client, board) == ["Undone."]
    board.refresh_from_db()
    assert (board.title, board.note_heading) == ("Arrivals", "Gate")


def test_an_undo_leaves_what_was_changed_later(editor_client, board):
    change(editor_client, board, title="Arrivals", note_heading="Gate")
    change(editor_client, board, title="Trains")

    words = undo(editor_client, board, number=2)

    board.refresh_from_db()
    assert (board.title, board.note_heading) == ("Trains", "")
    assert words == ["Undone.", "“Trains”: title has become “Trains” since then, and was left as it is"]


def test_an_undo_follows_the_address_back(editor_client, board):
    """The page that it leads to is at the address that the board has again."""
    change(editor_client, board, slug="elsewhere")

    undo(editor_client, board)

    board.refresh_from_db()
    assert board.slug == "departures"


def test_an_undo_names_what_is_not_possible_any_more(editor_client, board):
    """An address that another board has now, an organisation that was deleted."""
    board.organisation = Organisation.objects.create(name="Harbour")
    board.save()
    change(editor_client, board, slug="elsewhere", organisation="", title="Arrivals")
    Board.objects.create(slug="departures", title="Another")
    Organisation.objects.all().delete()

    done, *left = undo(editor_client, board)

    assert done == "Undone."
    assert sorted(left) == [
        "“Departures”: organisation was deleted, and was left as it is",
        "“Departures”: slug “departures” is that of another board now, and was left as it is",
    ]


@pytest.mark.parametrize("way", ["changed", "deleted", "added"])
def test_statuses_go_back(editor_client, board, status, way):
    """Changed, deleted or added in the form of the board; entries that have one show it as it was."""
    late = board.entries.create(label="a", status="late")
    form = Form(editor_client.get(address(board)))
    row = "statuses-0-"
    values = {
        "changed": {f"{row}word": "Delayed", f"{row}colour": "critical"},
        "deleted": {f"{row}DELETE": "on"},
        "added": {"statuses-1-word": "Lost", "statuses-1-colour": "grey"},
    }[way]
    editor_client.post(address(board), form.sent | values, follow=True)
    before = BoardStatus.objects.get(name="lost") if way == "added" else None

    ((_who, _kind, changes),) = told(board)
    assert changes == [
        {
            "changed": ("status", "Late (Amber, Clock, 10)", "Delayed (Red, Clock, 10)"),
            "deleted": ("status", "Late (Amber, Clock, 10)", None),
            "added": ("status", None, "Lost (Grey, 20)"),
        }[way]
    ]
    assert undo(editor_client, board) == ["Undone."]

    kept = board.statuses.values_list("name", "word", "colour", "icon", "position")
    assert [*kept] == [("late", "Late", "warning", "clock", 10)]
    late.refresh_from_db()
    assert late.look == "late warning clock Late"
    assert before is None or not BoardStatus.objects.filter(pk=before.pk).exists()


def test_a_board_goes_back_to_an_earlier_time_as_a_whole(editor_client, editor, board):
    """Its own values and its entries."""
    entry = board.entries.create(label="a", value="1", position=10)
    change(editor_client, board, description="First")
    change(editor_client, board, title="Arrivals")
    entry.value = "2"
    entry.save()
    history.note(Change("upsert", f"allentries.{board.pk}", str(entry.pk), None, "e.1", False))
    entry.value = "3"
    entry.save()
    history.note(Change("upsert", f"allentries.{board.pk}", str(entry.pk), None, "e.1", False))
    number = next(n for n, each in enumerate(history.revisions(board), 1) if each.entry < 0 and n > 2)

    undo(editor_client, board, number=number + 1, later="1")

    board.refresh_from_db()
    assert (board.description, board.title) == ("First", "Departures")


def test_the_message_of_the_admin_undoes_it(editor_client, board):
    form = Form(editor_client.get(address(board)))
    page = editor_client.post(address(board), form.sent | {"title": "Arrivals"}, follow=True)
    assert "undo-form" in page.content.decode()

    revision = Revision.objects.filter(is_baseline=False).get()
    editor_client.post(reverse("boards:undo_revisions"), {"revisions": str(revision.pk)})

    board.refresh_from_db()
    assert board.title == "Departures"


@pytest.mark.parametrize("name", ["undo", "undo_revisions"])
def test_it_requires_the_right_to_change_boards(name, editor_client, editor, board):
    """A user who may edit entries sees what was changed, and no button; a request leaves it and says why."""
    change(editor_client, board, title="Arrivals")
    editors = editor.groups.get().permissions
    editors.remove(editors.get(codename="change_board"))
    page = editor_client.get(reverse("boards:history", args=[board.slug])).content.decode()
    assert "Arrivals" in page
    assert "/undo/" not in page.partition('class="history"')[2]
    revision = Revision.objects.filter(is_baseline=False).get()

    if name == "undo":
        answer = editor_client.post(reverse("boards:undo", args=[board.slug, revision.pk]), follow=True)
    else:
        answer = editor_client.post(
            reverse("boards:undo_revisions"), {"revisions": str(revision.pk), "next": f"/boards/{board.slug}/history/"},
            follow=True,
        )  # fmt: skip

    board.refresh_from_db()
    assert board.title == "Arrivals"
    assert "requires the right to change boards" in answer.content.decode()


def test_a_new_board_is_recorded_and_not_removed_by_an_undo(editor_client, editor):
    editor_client.post(reverse("boards:new"), {"kind": "rooms", "title": "Rooms", "is_public": "on"})
    board = Board.objects.get(title="Rooms")

    assert ("someone", "made the board", []) in told(board)
    revision = history.revisions(board).get(entry__lt=0)
    answer = editor_client.post(reverse("boards:undo", args=[board.slug, revision.pk]), follow=True)

    assert "a board is not made or deleted by an undo" in answer.content.decode()
    assert Board.objects.filter(pk=board.pk).exists()
