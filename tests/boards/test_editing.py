"""The actions of a board's page: nothing is overwritten unseen, everything can be undone."""

import hashlib
import json

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission

from realtime.actions import ActionRefused, perform
from realtime.boards.models import Entry
from realtime.conf import get_conf
from realtime.engine.codes import Code


@pytest.fixture
def call(editor):
    """Calls an action as the editor."""

    def call(name, user=editor, **arguments):
        return perform(user, f"entries.{name}", arguments)

    return call


@pytest.fixture
def entries(board):
    return [
        board.entries.create(label=label, value="1", unit="m", position=10 * n)
        for n, label in enumerate("abc", 1)
    ]


def labels(board):
    return [entry.label for entry in board.entries.all()]


def seen(entry):
    return {name: getattr(entry, name) for name in ("label", "value", "unit", "status", "note")}


def undo(call, answer):
    return call("undo", token=answer["undo"])


def test_values_are_written_and_undone(call, entries, editor):
    """With a line in the history; the undo can be undone as well."""
    first = entries[0]

    answer = call(
        "set", entry=first.pk, changes={"value": " 9 ", "unit": ""}, seen={"value": "1", "unit": "m"}
    )
    first.refresh_from_db()
    assert (first.value, first.unit) == ("9", "")
    assert LogEntry.objects.get(user=editor).get_change_message() == "Changed value and unit."

    back = undo(call, answer)
    first.refresh_from_db()
    assert (first.value, first.unit, back["left"]) == ("1", "m", [])
    undo(call, back)
    first.refresh_from_db()
    assert first.value == "9"


def test_what_another_has_changed_is_not_overwritten_unseen(call, entries):
    """The answer has the present value; other fields do not matter, and an editor that has seen it may write."""
    first = entries[0]
    Entry.objects.filter(pk=first.pk).update(value="7", note="theirs")

    assert call("set", entry=first.pk, changes={"value": "9"}, seen={"value": "1"}) == {
        "conflict": {"value": "7"}
    }
    assert Entry.objects.get(pk=first.pk).value == "7"
    assert call("set", entry=first.pk, changes={"value": "7"}, seen={"value": "1"}) == {"undo": None}

    assert call("set", entry=first.pk, changes={"value": "9"}, seen={"value": "7"})["undo"]
    first.refresh_from_db()
    assert (first.value, first.note) == ("9", "theirs")


def test_an_undo_leaves_alone_what_was_changed_later(call, entries):
    """Field by field, and names it."""
    first = entries[0]
    answer = call(
        "set", entry=first.pk, changes={"value": "9", "unit": "km"}, seen={"value": "1", "unit": "m"}
    )
    Entry.objects.filter(pk=first.pk).update(value="later")

    back = undo(call, answer)

    first.refresh_from_db()
    assert (first.value, first.unit) == ("later", "m")
    assert back["left"] == ["“a”: value has become “later” since then, and was left as it is"]


def test_an_entry_moves_by_one_write(call, board, entries):
    """To a place between its new neighbours; the time of its last change stays."""
    before = {entry.pk: entry.updated for entry in entries}

    answer = call("move", entry=entries[2].pk, after=entries[0].pk, before=entries[1].pk)

    assert labels(board) == ["a", "c", "b"]
    assert {entry.pk: entry.updated for entry in board.entries.all()} == before
    undo(call, answer)
    assert labels(board) == ["a", "b", "c"]


def test_a_move_that_had_to_renumber_is_undone_as_a_whole(call, board, entries):
    """The others get their numbers back."""
    board.entries.update(position=5)

    answer = call("move", entry=entries[2].pk, before=entries[0].pk, after=None)
    assert labels(board) == ["c", "a", "b"]

    undo(call, answer)
    assert labels(board) == ["a", "b", "c"]
    assert {entry.position for entry in board.entries.all()} == {5}


def test_a_deleted_entry_comes_back_as_it_was(call, board, entries):
    """With its key, place and hidden columns."""
    middle = entries[1]
    Entry.objects.filter(pk=middle.pk).update(is_visible=False)

    answer = call("delete", entry=middle.pk, seen=seen(middle))
    assert labels(board) == ["a", "c"]

    assert undo(call, answer)["left"] == []
    back = board.entries.get(pk=middle.pk)
    assert (back.label, back.value, back.position, back.is_visible) == ("b", "1", 20, False)
    assert undo(call, answer)["left"] == ["“b” is already there again"]


def test_an_entry_of_a_deleted_board_is_not_restored(call, board, entries):
    """The undo says so."""
    answer = call("delete", entry=entries[0].pk, seen=seen(entries[0]))
    board.delete()

    assert undo(call, answer)["left"] == ["“a” cannot be restored: its board was deleted"]


def test_an_entry_that_is_other_than_seen_is_not_deleted(call, entries):
    """The editor sees what it is now, and may delete that."""
    Entry.objects.filter(pk=entries[0].pk).update(note="important")

    assert call("delete", entry=entries[0].pk, seen=seen(entries[0])) == {"conflict": {"note": "important"}}
    assert Entry.objects.count() == 3


@pytest.mark.parametrize("action", ["set", "move", "delete"])
def test_an_entry_that_is_gone_is_reported(action, call, entries):
    """The answer is not an error: the editor keeps what was typed."""
    arguments = {"changes": {}, "seen": {}, "after": entries[0].pk}

    assert call(action, entry=10**6, **arguments) == {"gone": True}


def test_a_table_is_added_where_it_is_pasted(call, board, entries):
    """As spreadsheets copy it: words of a status in any case, cells with line ends, other words kept in the note."""
    table = 'Oslo\t12:30\tALERT\tGate 1\nRome\t\tlate\t"two\nlines"\n\t\t\t\nBonn\n'

    answer = call("add", board=board.pk, after=entries[0].pk, table=table)

    assert labels(board) == ["a", "Oslo", "Rome", "Bonn", "b", "c"]
    oslo, rome = board.entries.all()[1:3]
    assert (oslo.value, oslo.status, oslo.note) == ("12:30", "critical", "Gate 1")
    assert (rome.status, rome.note) == ("", "late · two lines")
    undo(call, answer)
    assert labels(board) == ["a", "b", "c"]


def test_a_table_with_a_row_that_cannot_be_added_adds_none(call, board, entries):
    """The row is named."""
    with pytest.raises(ActionRefused, match="Row 2: label: This field cannot be blank") as refused:
        call("add", board=board.pk, table="Oslo\t1\n\t2\n")

    assert refused.value.code is Code.BAD_MESSAGE
    assert labels(board) == ["a", "b", "c"]


def test_an_added_entry_that_was_changed_since_is_not_removed_by_an_undo(call, board):
    """The change of another user would be lost."""
    answer = call("add", board=board.pk, values={"label": "new"})
    board.entries.update(note="theirs")

    assert undo(call, answer) == {
        "undo": None,
        "left": ["“new” has changed since then, and was left as it is"],
    }
    assert board.entries.count() == 1


@pytest.mark.parametrize("blank", [" ", "\t", "\n", "\t\t\n \t\n", "\r\n\r\n", "\u2003\t\x0b"])
def test_a_table_without_text_changes_nothing(blank, call, board, entries):
    """Not even where there is no room: entries are renumbered for rows that are added."""
    board.entries.update(position=5)

    with pytest.raises(ActionRefused, match="no row with text") as refused:
        call("add", board=board.pk, after=entries[0].pk, table=blank)

    assert refused.value.code is Code.BAD_MESSAGE
    assert {entry.position for entry in board.entries.all()} == {5}


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x0b", "\x0c", "\x85", "\x1c", "\x1d", "\x1e"])
def test_only_line_ends_separate_the_rows_of_a_table(separator, call, board):
    """Texts of other programs have characters that Python counts as line ends."""
    answer = call("add", board=board.pk, table=f"Oslo{separator}North\t1\rRome\t2\r\nBonn\t3\n")

    assert [entry.value for entry in board.entries.all()] == ["1", "2", "3"]
    assert len(answer["keys"]) == 3


@pytest.mark.parametrize(
    "table", ['Oslo\t"Gate 1\nRome\t2\n', '"', '"Oslo\t1', 'Oslo\t1\n"\n', 'Oslo\t"a ""b""\n', 'Rome\t"']
)
def test_a_quote_without_an_end_swallows_no_rows(table, call, board):
    """The table is refused as a whole, with the row."""
    with pytest.raises(ActionRefused, match="a quotation mark has no end, in the row that begins") as refused:
        call("add", board=board.pk, table=table)

    assert refused.value.code is Code.BAD_MESSAGE
    assert not board.entries.exists()


@pytest.mark.parametrize("label", ['5" pipe', 'a "b" c', '"a" b', '"a ""b"""', '""'])
def test_other_quotes_are_part_of_a_text(label, call, board):
    """As spreadsheets copy them."""
    call("add", board=board.pk, table=f"Oslo {label}\tvalue\n{label}x\tvalue\n")

    assert [entry.value for entry in board.entries.all()] == ["value", "value"]


def test_a_table_with_a_cell_that_is_too_long_is_refused(call, board):
    """Python's reader of tables has a limit of its own."""
    with pytest.raises(ActionRefused) as refused:
        call("add", board=board.pk, table=f"Oslo\t{'x' * 200_000}\n")

    assert refused.value.code is Code.BAD_MESSAGE
    assert not board.entries.exists()


@pytest.mark.parametrize("text", ["\0", "\ud800", "a\udfff"])
@pytest.mark.parametrize("arguments", [{"values": {"label": "{}"}}, {"table": "Oslo\t{}\n"}])
def test_texts_that_no_database_can_store_are_refused(text, arguments, call, board):
    ((name, value),) = arguments.items()
    given = {"label": text} if name == "values" else value.format(text)

    with pytest.raises(ActionRefused) as refused:
        call("add", board=board.pk, **{name: given})

    assert refused.value.code is Code.BAD_MESSAGE


def table_of(rows, seed="a"):
    """Return a table whose texts have no pattern that would make a token short."""
    digests = [hashlib.sha256(f"{seed}{row}".encode()).hexdigest() for row in range(rows)]
    return "".join(f"{digest}\t{digest[::-1]}\n" for digest in digests)


@pytest.mark.parametrize("rows", [1, 20, 60, 120, 400])
def test_what_is_offered_as_undo_is_no_longer_than_a_message(rows, call, board):
    """Where it would be, the answer says so, for changes and for the undo of changes."""
    answer = call("add", board=board.pk, table=table_of(rows))

    assert len(answer["keys"]) == rows
    if answer["undo"] is None:
        assert answer["is_too_large"]
        assert rows > 20
        return
    assert rows < 400
    undoing = {"type": "call", "id": 10**9, "action": "entries.undo", "args": {"token": answer["undo"]}}
    assert len(json.dumps(undoing)) <= get_conf().max_message_bytes
    back = undo(call, answer)
    assert back["undo"] is None or len(back["undo"]) < get_conf().max_message_bytes
    assert not board.entries.exists()


def test_a_move_that_renumbers_a_large_board_is_made_without_undo(call, board):
    """Its answer is that of a move."""
    Entry.objects.bulk_create(Entry(board=board, label=f"n{n}", position=5) for n in range(2500))
    first, second, *_, last = board.entries.all()

    answer = call("move", entry=last.pk, after=first.pk, before=second.pk)

    assert answer == {"undo": None, "is_too_large": True}
    assert [*board.entries.all()[:3]] == [first, last, second]


@pytest.mark.parametrize("arguments", [
    {"changes": {"label": ""}, "seen": {}},
    {"changes": {"status": "late"}, "seen": {}},
    {"changes": {"value": "x" * 201}, "seen": {}},
    {"changes": {"position": "1"}, "seen": {}},
    {"changes": {"value": 1}, "seen": {}},
    {"changes": {"value": "\0"}, "seen": {}},
    {"changes": ["value"], "seen": {}},
    {"changes": {"value": "9"}, "seen": {"board_id": "1"}},
])  # fmt: skip
def test_only_valid_values_are_accepted(arguments, call, entries):
    """By the model's own rules, for the columns that the board shows."""
    with pytest.raises(ActionRefused) as refused:
        call("set", entry=entries[0].pk, **arguments)

    assert refused.value.code is Code.BAD_MESSAGE
    assert seen(Entry.objects.get(pk=entries[0].pk)) == seen(entries[0])


def test_a_token_that_was_changed_undoes_nothing(call, entries):
    """An undo writes only values that the server has signed."""
    answer = call("set", entry=entries[0].pk, changes={"value": "9"}, seen={"value": "1"})

    with pytest.raises(ActionRefused, match="can no longer be undone"):
        call("undo", token=answer["undo"][:-1] + ("a" if answer["undo"][-1] != "a" else "b"))
    assert Entry.objects.get(pk=entries[0].pk).value == "9"


CALLS: dict[str, dict[str, object]] = {
    "set": {"changes": {"value": "9"}, "seen": {}},
    "move": {"after": None},
    "add": {"values": {"label": "new"}},
    "delete": {"seen": {}},
}


@pytest.mark.parametrize("action", [*CALLS])
@pytest.mark.parametrize("person", ["anonymous", "visitor", "viewer", "former", "member"])
def test_users_that_may_not_edit_in_the_admin_may_not_edit_on_the_board(
    action, person, call, board, entries, anonymous, visitor, editor, django_user_model
):
    """Staff without the right, former staff, and users with the right who are no staff."""
    viewer = django_user_model.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    member = django_user_model.objects.create_user("member")
    member.user_permissions.set(Permission.objects.filter(content_type__app_label="boards"))
    editor.is_active = False
    people = {
        "anonymous": anonymous,
        "visitor": visitor,
        "viewer": viewer,
        "former": editor,
        "member": member,
    }

    with pytest.raises(ActionRefused) as refused:
        call(action, people[person], entry=entries[0].pk, board=board.pk, **CALLS[action])

    assert refused.value.code is Code.FORBIDDEN
    assert labels(board) == ["a", "b", "c"]


def test_an_undo_needs_the_right_to_what_it_does(call, board, django_user_model):
    """A user who may change entries cannot delete or restore one by another's undo."""
    answer = call("add", board=board.pk, values={"label": "new"})
    changer = django_user_model.objects.create_user("changer", is_staff=True)
    changer.user_permissions.set(Permission.objects.filter(codename="change_entry"))

    with pytest.raises(ActionRefused, match="right to delete") as refused:
        call("undo", changer, token=answer["undo"])

    assert refused.value.code is Code.FORBIDDEN
    assert board.entries.count() == 1
