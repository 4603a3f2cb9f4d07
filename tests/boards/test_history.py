"""Who has changed what: by any way of editing and by programs, with the values before, and undone field by field."""

from typing import Literal

import pytest
from django.urls import reverse

from realtime.actions import perform
from realtime.boards import history
from realtime.boards.models import Entry, Revision
from realtime.changes import Change

from .test_shared_forms import ENTRIES, Form


@pytest.fixture(autouse=True)
def _kept(settings):
    settings.BOARDS_HISTORY_DAYS = 30


@pytest.fixture
def entries(board):
    return [board.entries.create(label=label, value="1", position=10 * n) for n, label in enumerate("abc", 1)]


def noted(entry, is_initial=False):
    """Call the function of on_change as the publisher does."""
    op: Literal["upsert", "delete"] = "upsert" if Entry.objects.filter(pk=entry.pk).exists() else "delete"
    history.note(Change(op, f"allentries.{entry.board_id}", str(entry.pk), None, "e.1", is_initial))


def told(board):
    """Return what the page of the history says, oldest first."""
    items = [item for item in map(history.in_words, history.revisions(board)) if item]
    return [
        (str(item["revision"].actor or ""), item["label"], item["kind"], item["changes"])
        for item in reversed(items)
    ]


def on_the_board(client, editor, entry):
    perform(editor, "entries.set", {"entry": entry.pk, "changes": {"value": "9"}, "seen": {"value": "1"}})


def in_the_list(client, editor, entry):
    form = Form(client.get(ENTRIES))
    client.post(ENTRIES, form.sent | {f"{form.row(entry)}value": "9"})


def in_the_form(client, editor, entry):
    address = reverse("admin:boards_entry_change", args=[entry.pk])
    client.post(address, Form(client.get(address)).sent | {"value": "9"})


def in_the_boards_form(client, editor, entry):
    address = reverse("admin:boards_board_change", args=[entry.board_id])
    form = Form(client.get(address))
    client.post(address, form.sent | {f"{form.row(entry)}value": "9"})


WAYS = pytest.mark.parametrize("way", [on_the_board, in_the_list, in_the_form, in_the_boards_form])


@WAYS
def test_a_change_is_recorded_with_its_editor_and_the_value_before(
    way, editor_client, editor, board, entries
):
    """Once, although the log reports it too; only the entry that was changed."""
    way(editor_client, editor, entries[0])
    for entry in entries:
        noted(entry, is_initial=True)

    assert told(board) == [("someone", "a", "changed", [("value", "1", "9")])]


def test_a_bulk_action_is_recorded_for_each_entry(editor_client, board, entries):
    """With its editor."""
    form = {"action": "hide", "index": 0, "_selected_action": [entry.pk for entry in entries[:2]]}

    editor_client.post(ENTRIES, form)

    assert told(board) == [("someone", label, "changed", [("visible", "True", "False")]) for label in "ab"]


def test_what_a_program_writes_between_is_its_own_revision(editor, board, entries):
    """Also when the function of on_change has not been called between: it is not ascribed to the editor."""
    first = entries[0]
    noted(first, is_initial=True)
    Entry.objects.filter(pk=first.pk).update(note="by SQL")
    on_the_board(None, editor, first)
    Entry.objects.filter(pk=first.pk).update(note="again")
    noted(first)
    noted(first)

    assert told(board) == [
        ("", "a", "changed", [("note", "", "by SQL")]),
        ("someone", "a", "changed", [("value", "1", "9")]),
        ("", "a", "changed", [("note", "by SQL", "again")]),
    ]


def test_what_comes_and_goes_is_recorded(editor, board, entries):
    """By programs and by editors."""
    perform(editor, "entries.add", {"board": board.pk, "values": {"label": "new"}})
    for entry in entries:
        noted(entry, is_initial=True)
    gone = entries[0]
    key = gone.pk
    gone.delete()
    gone.pk = key
    noted(gone)

    assert told(board) == [("someone", "new", "added", []), ("", "a", "deleted", [])]


def test_an_entry_has_a_bounded_number_of_revisions(board, entries):
    """A program that writes every second does not fill the table."""
    for number in range(history.KEPT + 5):
        Entry.objects.filter(pk=entries[0].pk).update(value=str(number))
        noted(entries[0])
    noted(entries[1])

    assert Revision.objects.filter(entry=entries[0].pk).count() == history.KEPT
    assert Revision.objects.filter(entry=entries[1].pk).count() == 1


def test_the_page_undoes_one_change(editor_client, editor, board, entries):
    """A later change of another value stays; the undo is in the history too."""
    on_the_board(None, editor, entries[0])
    Entry.objects.filter(pk=entries[0].pk).update(note="later")
    revision = Revision.objects.filter(actor=editor).get()
    html = editor_client.get(reverse("boards:history", args=[board.slug])).content.decode()
    assert "<del>1</del> → <ins>9</ins>" in html

    editor_client.post(reverse("boards:undo", args=[board.slug, revision.pk]))

    entry = Entry.objects.get(pk=entries[0].pk)
    assert (entry.value, entry.note) == ("1", "later")
    assert told(board)[-1] == ("someone", "a", "changed", [("value", "9", "1")])


def test_a_board_is_taken_back_to_an_earlier_time(editor_client, editor, board, entries):
    """Changed, deleted and added entries; what a program has changed since is undone with them."""
    first, second, _ = entries
    on_the_board(None, editor, first)
    then = Revision.objects.order_by("-pk").first()
    perform(editor, "entries.set", {"entry": first.pk, "changes": {"value": "8"}, "seen": {"value": "9"}})
    seen = {name: getattr(second, name) for name in ("label", "value", "unit", "status", "note")}
    perform(editor, "entries.delete", {"entry": second.pk, "seen": seen})
    perform(editor, "entries.add", {"board": board.pk, "values": {"label": "new"}})
    Entry.objects.filter(pk=first.pk).update(value="7")
    noted(first)

    response = editor_client.post(
        reverse("boards:undo", args=[board.slug, then.pk]), {"later": "1"}, follow=True
    )

    assert "Undone." in response.content.decode()
    assert [(entry.label, entry.value) for entry in board.entries.all()] == [
        ("a", "9"),
        ("b", "1"),
        ("c", "1"),
    ]


def test_an_undo_names_what_it_leaves(editor_client, editor, board, entries):
    """A value that was changed since."""
    on_the_board(None, editor, entries[0])
    revision = Revision.objects.filter(actor=editor).get()
    Entry.objects.filter(pk=entries[0].pk).update(value="later")

    response = editor_client.post(reverse("boards:undo", args=[board.slug, revision.pk]), follow=True)

    assert "value is “later” since, and stays" in response.content.decode()
    assert Entry.objects.get(pk=entries[0].pk).value == "later"


def test_a_history_is_for_those_who_may_edit(client, visitor, board, entries, editor):
    """It has hidden entries and names of editors."""
    on_the_board(None, editor, entries[0])
    address = reverse("boards:history", args=[board.slug])

    assert client.get(address).status_code == 302
    client.force_login(visitor)
    assert client.get(address).status_code == 302
    assert (
        client.post(reverse("boards:undo", args=[board.slug, Revision.objects.first().pk])).status_code == 302
    )
    assert Entry.objects.get(pk=entries[0].pk).value == "9"
