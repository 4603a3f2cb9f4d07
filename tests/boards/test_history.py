"""The history: changes by any way of editing and by programs, with the values before, and undone field by field."""

from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import Literal

import pytest
from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from realtime.actions import perform
from realtime.boards import history
from realtime.boards.models import Batch, Board, Entry, Revision
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
    """Return the lines of the page of the history, oldest first."""
    items = [item for each in history.revisions(board) if (item := history.in_words(each, board))]
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

    assert told(board) == [("someone", label, "changed", [("visible", "yes", "no")]) for label in "ab"]


def test_a_programs_write_between_two_edits_is_a_revision_of_its_own(editor, board, entries):
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


def test_added_and_deleted_entries_are_recorded(editor, board, entries):
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

    assert "value has become “later” since then, and was left as it is" in response.content.decode()
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


def days_ago(days, revisions=None):
    """Make revisions older than they are."""
    (Revision.objects.all() if revisions is None else revisions).update(
        at=timezone.now() - timedelta(days=days)
    )


def undone(client, board, revision, **data):
    return client.post(reverse("boards:undo", args=[board.slug, revision.pk]), data, follow=True)


def on_the_page(client, board):
    """Return what the page shows, newest first."""
    items = client.get(reverse("boards:history", args=[board.slug])).context["items"]
    return [(item["label"], item["kind"], item["changes"]) for item in items]


@pytest.mark.combinations("way", "begins")
@pytest.mark.parametrize("is_pruned", [True, False])
@pytest.mark.parametrize("begins", ["added", "read"])
@WAYS
def test_a_change_after_a_long_time_is_a_change(
    way, begins, is_pruned, editor_client, editor, board, entries
):
    """The revisions before it were removed or are no longer shown: the value before is known, and is restored."""
    first = entries[0]
    noted(first, is_initial=begins == "read")
    days_ago(40)
    if is_pruned:
        history.remove_old()

    way(editor_client, editor, first)
    if is_pruned:
        history.remove_old()

    assert told(board) == [("someone", "a", "changed", [("value", "1", "9")])]
    undone(editor_client, board, Revision.objects.get(actor=editor))
    assert Entry.objects.get(pk=first.pk).value == "1"


def test_an_entry_that_a_program_changes_after_a_long_time_is_not_added(board, entries):
    """Its baseline stays."""
    noted(entries[0])
    days_ago(40)
    history.remove_old()
    Entry.objects.filter(pk=entries[0].pk).update(value="2")
    noted(entries[0])

    assert told(board) == [("", "a", "changed", [("value", "1", "2")])]


@pytest.mark.parametrize("writes", [history.KEPT - 1, history.KEPT, history.KEPT + 5])
def test_an_entry_that_has_changed_often_is_not_removed_by_an_undo(writes, editor_client, board, entries):
    """It is as it was then, or stays and is named: never a value that it had at another time."""
    busy, other, _ = entries
    for entry in entries:
        noted(entry, is_initial=True)
    Entry.objects.filter(pk=other.pk).update(value="2")
    noted(other)
    then = Revision.objects.latest("pk")
    Entry.objects.filter(pk=other.pk).update(value="3")
    noted(other)
    for number in range(writes):
        Entry.objects.filter(pk=busy.pk).update(value=f"write {number}")
        noted(busy)

    html = undone(editor_client, board, then, later="1").content.decode()

    is_known = writes < history.KEPT
    assert Entry.objects.get(pk=other.pk).value == "2"
    assert Entry.objects.get(pk=busy.pk).value == ("1" if is_known else f"write {writes - 1}")
    assert ("“a” has changed 50 times or more since then, and was left as it is" in html) is not is_known


def test_the_oldest_revision_that_is_kept_is_undone_as_the_change_that_it_was(editor_client, board, entries):
    """The one before it is gone."""
    for number in range(history.KEPT + 5):
        Entry.objects.filter(pk=entries[0].pk).update(value=str(number))
        noted(entries[0])
    oldest = Revision.objects.earliest("pk")
    assert told(board)[0] == ("", "a", "changed", [("value", "4", "5")])

    undone(editor_client, board, oldest)

    assert Entry.objects.filter(pk=entries[0].pk).exists()


@pytest.fixture
def other(db):
    return Board.objects.create(slug="other", title="The other")


def by_bulk_action(client, editor, entry, board):
    data = {"action": "move", "index": 0, "_selected_action": [entry.pk], "target_board": board.pk}
    client.post(ENTRIES, data)


def by_form(client, editor, entry, board):
    address = reverse("admin:boards_entry_change", args=[entry.pk])
    client.post(address, Form(client.get(address)).sent | {"board": str(board.pk)})


def by_program(client, editor, entry, board):
    noted(entry, is_initial=True)
    Entry.objects.filter(pk=entry.pk).update(board=board)
    noted(entry)


MOVES = pytest.mark.parametrize("move", [by_bulk_action, by_form, by_program])


@MOVES
@pytest.mark.parametrize("page", ["left", "reached"])
def test_a_move_to_another_board_is_shown_on_both_and_undone(
    move, page, editor_client, editor, board, other, entries
):
    """It is not an addition: its undo does not delete the entry."""
    first = entries[0]
    move(editor_client, editor, first, other)
    shown = board if page == "left" else other

    assert on_the_page(editor_client, shown) == [("a", "moved", [("board", "The quay", "The other")])]
    undone(editor_client, shown, Revision.objects.get(left_board=board.pk))

    assert Entry.objects.get(pk=first.pk).board == board
    assert on_the_page(editor_client, shown)[0] == ("a", "moved", [("board", "The other", "The quay")])


@MOVES
def test_a_move_from_a_board_that_was_deleted_is_not_undone(
    move, editor_client, editor, board, other, entries
):
    """The entry stays, and the page says why."""
    move(editor_client, editor, entries[0], other)
    left = board.pk
    board.delete()

    assert on_the_page(editor_client, other)[0][2] == [("board", "a deleted board", "The other")]
    html = undone(editor_client, other, Revision.objects.get(left_board=left))
    assert "cannot go back to its board" in html.content.decode()
    assert Entry.objects.get(pk=entries[0].pk).board == other


@pytest.mark.parametrize("path", [[1], [1, 0], [1, 0, 1]])
@pytest.mark.parametrize("page", [0, 1])
def test_boards_go_back_with_the_entries_that_have_moved_between_them(
    path, page, editor_client, editor, board, other, entries
):
    """With what has changed of them on either board; an entry that was not and is not on the board is left alone."""
    boards, first = [board, other], entries[0]
    noted(entries[1], is_initial=True)
    Entry.objects.filter(pk=entries[1].pk).update(value="2")
    noted(entries[1])
    then = Revision.objects.latest("pk")
    for number, place in enumerate(path):
        by_bulk_action(editor_client, editor, first, boards[place])
        Entry.objects.filter(pk=first.pk).update(value=f"change {number}")
        noted(first)
    is_concerned = page in (0, path[-1])

    undone(editor_client, boards[page], then, later="1")

    entry = Entry.objects.get(pk=first.pk)
    expected = (board, "1") if is_concerned else (boards[path[-1]], f"change {len(path) - 1}")
    assert (entry.board, entry.value) == expected


def test_old_revisions_are_removed_without_another_change(editor, board, entries):
    """Those of deleted entries whole; of the others the state stays, without a user, and is no change."""
    first, second, third = entries
    on_the_board(None, editor, first)
    on_the_board(None, editor, second)
    seen = {name: getattr(Entry.objects.get(pk=second.pk), name) for name in ("label", "value")}
    perform(editor, "entries.delete", {"entry": second.pk, "seen": seen})
    days_ago(29)
    history.remove_old()
    assert Revision.objects.count() == 5
    days_ago(31)
    on_the_board(None, editor, third)

    history.remove_old()
    history.remove_old()

    kept = [(each.entry, each.actor, each.is_baseline) for each in Revision.objects.order_by("pk")]
    assert kept == [(first.pk, None, True), (third.pk, None, True), (third.pk, editor, False)]


def test_without_old_revisions_their_removal_only_reads(board, entries, editor):
    """On SQLite, a write would make others wait."""
    on_the_board(None, editor, entries[0])

    with CaptureQueriesContext(connection) as queries:
        history.remove_old()

    assert all(query["sql"].startswith("SELECT") for query in queries)


def test_the_page_shows_changes_of_the_days_that_it_names(editor_client, editor, board, entries):
    """Also before the job has removed older ones; they cannot be undone any more either."""
    on_the_board(None, editor, entries[0])
    old = Revision.objects.get(actor=editor)
    days_ago(31)
    on_the_board(None, editor, entries[1])

    assert [label for label, *_ in on_the_page(editor_client, board)] == ["b"]
    for data in [{}, {"later": "1"}]:
        undone(editor_client, board, old, **data)
    assert {entry.value for entry in board.entries.all()} == {"1", "9"}
    assert Entry.objects.get(pk=entries[1].pk).value == "9"


def moves(board, entries):
    return "move", {"entry": entries[2].pk, "after": entries[0].pk}, "c", "changed"


def adds(board, entries):
    values = {"label": "new"}
    return "add", {"board": board.pk, "before": entries[1].pk, "values": values}, "new", "added"


@pytest.mark.parametrize("call", [moves, adds])
def test_what_made_room_is_recorded_with_its_editor_and_undone_with_its_cause(
    call, editor_client, editor, board, entries
):
    """The page has one line for it, by the token of the board and by the page; the order is as before, each time."""
    board.entries.update(position=5)
    for entry in entries:
        noted(entry, is_initial=True)
    action, arguments, label, kind = call(board, entries)
    perform(editor, f"entries.{action}", arguments)
    order = [entry.label for entry in board.entries.all()]
    for entry in board.entries.all():
        noted(entry)

    assert {actor for actor, *_ in told(board)} == {"someone"}
    assert len(told(board)) > 1
    ((shown, shown_kind, _),) = on_the_page(editor_client, board)
    assert (shown, shown_kind) == (label, kind)

    undone(editor_client, board, Revision.objects.filter(actor=editor, follows=None).get())
    assert [entry.label for entry in board.entries.all()] == ["a", "b", "c"]
    assert [each[0] for each in on_the_page(editor_client, board)] == [label, label]
    undone(editor_client, board, Revision.objects.filter(actor=editor, follows=None).latest("pk"))
    assert [entry.label for entry in board.entries.all()] == order


@pytest.mark.parametrize("call", [moves, adds])
def test_a_board_goes_back_to_a_move_with_what_made_room_for_it(call, editor_client, editor, board, entries):
    """Only what came after it is undone."""
    board.entries.update(position=5)
    action, arguments, *_ = call(board, entries)
    perform(editor, f"entries.{action}", arguments)
    order = list(board.entries.values_list("label", "position"))
    on_the_board(None, editor, entries[0])

    undone(
        editor_client, board, Revision.objects.filter(actor=editor, follows=None).earliest("pk"), later="1"
    )

    assert list(board.entries.values_list("label", "position")) == order
    assert Entry.objects.get(pk=entries[0].pk).value == "1"


@pytest.mark.parametrize("call", [moves, adds])
def test_an_undo_on_the_board_is_one_line_too(call, editor_client, editor, board, entries):
    """And the undo of that undo."""
    board.entries.update(position=5)
    action, arguments, label, _ = call(board, entries)
    answer = perform(editor, f"entries.{action}", arguments)
    for _ in range(2):
        answer = perform(editor, "entries.undo", {"token": answer["undo"]})

    assert [each[0] for each in on_the_page(editor_client, board)] == [label] * 3


@pytest.mark.parametrize("lacking", ["was", "values"])
def test_a_column_that_came_or_went_with_a_migration_is_no_change(
    lacking, editor_client, editor, board, entries
):
    """The column's change is neither shown nor undone; another change in the same revision is."""
    was = history.states([entries[0].pk])[entries[0].pk]
    states = {"was": dict(was), "values": was | {"value": "9"}}
    same = {"was": dict(was), "values": dict(was)}
    for state in (states, same):
        del state[lacking]["is_pinned"]
        Revision.objects.create(entry=entries[0].pk, board=board.pk, **state)
    Entry.objects.filter(pk=entries[0].pk).update(value="9", is_pinned=True)

    assert on_the_page(editor_client, board) == [("a", "changed", [("value", "1", "9")])]
    undone(editor_client, board, Revision.objects.earliest("pk"))

    entry = Entry.objects.get(pk=entries[0].pk)
    assert (entry.value, entry.is_pinned) == ("1", True)


def test_a_change_of_a_removed_column_is_no_change(editor_client, board, entries):
    """The page does not mention it."""
    was = history.states([entries[0].pk])[entries[0].pk]
    Revision.objects.create(
        entry=entries[0].pk, board=board.pk, was=was | {"colour": "red"}, values=was | {"colour": "blue"}
    )

    assert on_the_page(editor_client, board) == []


def bulk_hide(client, editor, board, keys):
    data = {"action": "hide", "index": 0, "select_across": "1", "_selected_action": keys[:1]}
    client.post(ENTRIES, data)


def bulk_delete(client, editor, board, keys):
    data = {"action": "delete_selected", "post": "yes", "_selected_action": keys}
    client.post(ENTRIES, data)


@pytest.mark.parametrize("bulk", [bulk_hide, bulk_delete])
def test_a_bulk_action_costs_no_query_for_each_entry(bulk, editor_client, editor, board):
    """Its states are read and recorded together."""
    counts = []
    for number in (10, 90):
        Entry.objects.all().delete()
        made = Entry.objects.bulk_create(Entry(board=board, label=f"row {n}") for n in range(number))
        with CaptureQueriesContext(connection) as queries:
            bulk(editor_client, editor, board, [entry.pk for entry in made])
        counts.append(len(queries))
        assert Revision.objects.filter(actor=editor, entry__in=[entry.pk for entry in made]).count() == number

    assert counts[1] - counts[0] < 20


def test_the_page_of_the_history_costs_no_query_for_each_line(editor_client, editor, board, other, entries):
    """Names of users and boards come with the lines."""
    counts = []
    for _ in range(2):
        for entry in entries:
            by_bulk_action(editor_client, editor, entry, other)
            by_bulk_action(editor_client, editor, entry, board)
        with CaptureQueriesContext(connection) as queries:
            assert on_the_page(editor_client, board)
        counts.append(len(queries))

    assert counts[0] == counts[1]


def test_revisions_from_before_the_migration_get_the_values_before_them(board, other, entries):
    """The oldest of each entry becomes its baseline: what was before it is not known."""
    first, second, _ = entries
    Revision.objects.all().delete()
    values = history.states([first.pk])[first.pk]
    changed = values | {"value": "2"}
    moved = changed | {"board_id": str(other.pk)}
    for number, state in enumerate([values, changed, moved, None]):
        Revision.objects.create(entry=first.pk, board=(board, other)[number > 1].pk, values=state)
        Revision.objects.create(entry=second.pk, board=board.pk, values=None)
    migration = import_module("realtime.boards.migrations.0006_revisions_with_values_before")
    migration.store_values_before(apps, SimpleNamespace(connection=connection))

    found = Revision.objects.filter(entry=first.pk).order_by("pk")
    assert [(each.was, each.left_board, each.is_baseline) for each in found] == [
        (None, None, True),
        (values, None, False),
        (changed, board.pk, False),
        (moved, None, False),
    ]
    assert [kind for _, label, kind, _ in told(other) if label == "a"] == ["moved", "deleted"]


def imported(editor, board, entries, value):
    """Write a value into entries as an import does, as one batch."""
    before = history.states(entry.pk for entry in entries)
    Entry.objects.filter(pk__in=before).update(value=value)
    return history.record(
        editor, before, batch=Batch(board=board.pk, actor=editor, summary=f"Import: {value}")
    )


def test_an_undo_of_an_import_names_the_entries_of_which_it_knows_no_change(
    editor_client, editor, board, entries
):
    """Their revisions were surplus; an entry that was deleted since is named too. All others are undone."""
    busy, gone, _ = entries
    batch = imported(editor, board, entries, "2")
    for entry in (busy, gone):
        for number in range(history.KEPT):
            Entry.objects.filter(pk=entry.pk).update(value=f"write {number}")
            noted(entry)
    Entry.objects.filter(pk=gone.pk).delete()
    noted(gone)

    html = undone(editor_client, board, batch.revisions.get()).content.decode()

    for label in "ab":
        assert f"“{label}” has changed 50 times or more since then, and was left as it is" in html
    assert "“c” has changed" not in html
    values = dict(board.entries.values_list("label", "value"))
    assert values == {"a": f"write {history.KEPT - 1}", "c": "1"}


def test_imports_of_which_nothing_is_left_are_removed_with_their_revisions(editor, board, entries):
    """Those of which another entry still has a revision stay."""
    whole = imported(editor, board, entries, "first")
    for number in range(history.KEPT + 20):
        imported(editor, board, entries[:1], str(number))

    assert Batch.objects.count() == history.KEPT + 1
    assert whole.revisions.count() == 2


def test_imports_that_were_left_empty_are_removed_by_the_job(monkeypatch, editor, board, entries):
    """Whatever their age, a bounded number in each run."""
    monkeypatch.setattr(history, "REMOVED_AT_ONCE", 3)
    kept = imported(editor, board, entries, "2")
    for _ in range(5):
        Batch.objects.create(board=board.pk, summary="Import")

    counts = []
    for _ in range(2):
        history.remove_old()
        counts.append(Batch.objects.count())

    assert counts == [3, 1]
    assert Batch.objects.get() == kept


def test_the_page_of_the_history_costs_no_query_for_each_import(
    editor_client, editor, board, entries, django_assert_num_queries
):
    """The parts of all are read at once, a bounded number of each."""
    imported(editor, board, entries, "first")
    address = reverse("boards:history", args=[board.slug])
    with CaptureQueriesContext(connection) as queries:
        editor_client.get(address)
    for number in range(20):
        imported(editor, board, entries, str(number))

    with django_assert_num_queries(len(queries)):
        items = editor_client.get(address).context["items"]

    assert [len(item["parts"]) for item in items] == [3] * 21
    assert [item["kind"] for item in items[:2]] == ["Import: 19", "Import: 18"]


def test_times_and_days_are_named_as_an_editor_reads_them(editor_client, editor, entries):
    """By the clock of the board; what a program wrote too far away is in UTC, and what is no day is as it is."""
    Board.objects.update(time_zone="Asia/Kathmandu")
    entry = entries[0]
    values = {"at": "2027-01-02T01:00", "weekdays": "135"}
    perform(editor, "entries.set", {"entry": entry.pk, "changes": values, "seen": {}})
    far = datetime(9999, 12, 31, 23, 30, tzinfo=UTC)
    Entry.objects.filter(pk=entry.pk).update(shows_until=far, weekdays="x")
    noted(entry)

    html = editor_client.get(reverse("boards:history", args=[entry.board.slug])).content.decode()

    assert "<ins>2 Jan 2027 01:00 +0545</ins>" in html
    assert "<ins>Mon, Wed, Fri</ins>" in html
    assert "<ins>31 Dec 9999 23:30 UTC</ins>" in html
    assert "<ins>x</ins>" in html
    assert "135" not in html
