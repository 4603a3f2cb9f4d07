"""The plan of an import, its execution, and its undo as one change."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from realtime.boards import history
from realtime.boards.exchange import plan as plans
from realtime.boards.exchange.columns import Row
from realtime.boards.exchange.models import Batch
from realtime.boards.exchange.plan import Mode, carry_out, locked_entries, plan
from realtime.boards.models import Entry, Revision
from realtime.boards.undo import revert


@pytest.fixture
def entries(board):
    labels = ["a", "b", "c", "d"]
    return [
        board.entries.create(label=label, value="1", position=10 * n) for n, label in enumerate(labels, 1)
    ]


def rows(*labels, **values) -> list[Row]:
    return [
        Row(line, {"label": label.strip("*")} | (values if label.endswith("*") else {}))
        for line, label in enumerate(labels, start=1)
    ]


def planned(board, given, mode: str = Mode.REPLACE):
    return plan([*board.entries.all()], given, mode)


def told(found) -> list[tuple[str, str]]:
    return [(item.kind, item.label) for item in found.items]


def do(board, given, mode: str = Mode.REPLACE, actor: Any = None):
    return carry_out(plan(locked_entries(board), given, mode), board, actor, "Import")


def state(board) -> list[tuple[int, str, str, int]]:
    return [(entry.pk, entry.label, entry.value, entry.position) for entry in board.entries.all()]


def test_replacing_gives_the_board_the_rows_of_the_table(board, entries):
    """Entries are added, changed and deleted; one that is the same is not written."""
    given = rows("a", "new*", "b*", "d", value="2")

    assert told(planned(board, given)) == [("new", "new"), ("changed", "b"), ("gone", "c")]
    do(board, given)

    assert [row[1:3] for row in state(board)] == [("a", "1"), ("new", "2"), ("b", "2"), ("d", "1")]
    assert {row[0] for row in state(board)} > {entries[0].pk, entries[1].pk, entries[3].pk}


def test_updating_keeps_the_other_entries(board, entries):
    """They keep their place; new entries come last."""
    given = rows("new", "d*", "b*", value="2")

    assert told(planned(board, given, Mode.UPDATE)) == [("changed", "b"), ("changed", "d"), ("new", "new")]
    do(board, given, Mode.UPDATE)

    assert [row[1:3] for row in state(board)] == [("a", "1"), ("b", "2"), ("c", "1"), ("d", "2"), ("new", "")]


def test_the_order_of_the_table_is_that_of_the_board(board, entries):
    """Moving one row writes one entry."""
    given = rows("b", "c", "d", "a")
    found = planned(board, given)

    assert told(found) == [("moved", "a")]
    do(board, given)

    assert state(board)[:3] == [(entry.pk, entry.label, "1", entry.position) for entry in entries[1:]]
    assert state(board)[3][1] == "a"


def test_room_is_made_where_there_is_none(board):
    """Entries that SQL has written may all have one position; those which are only renumbered are not called moved."""
    for label in "abc":
        board.entries.create(label=label)
    given = rows("a", "new", "b", "c")

    assert told(planned(board, given)) == [("new", "new")]
    do(board, given)

    assert [(row[1], row[3]) for row in state(board)] == [("a", 10), ("new", 20), ("b", 30), ("c", 40)]


def test_the_time_of_a_change_is_that_of_the_content(board, entries):
    """As for a move on the board."""
    before = {entry.pk: entry.updated for entry in board.entries.all()}

    do(board, rows("b", "a", "c*", "d", value="2"))

    changed = {entry.label for entry in board.entries.all() if entry.updated != before[entry.pk]}
    assert changed == {"c"}


def test_doing_it_again_writes_nothing(board, entries):
    """Programs send the same rows over and over."""
    given = rows("a", "new*", "b*", "d", value="2")
    do(board, given)

    assert planned(board, given).items == []
    assert planned(board, given).summary == "nothing to change"
    with CaptureQueriesContext(
        connection,
    ) as queries:
        do(board, given)
    assert not [query for query in queries if query["sql"].startswith(("INSERT", "UPDATE"))]


def test_texts_that_differ_in_blanks_alone_are_the_same(board):
    """An export has them on one line; importing it again must not change what a program has written."""
    entry = board.entries.create(label="a  b", value="1\u00a0000", note="two\nlines", position=10)

    found = planned(board, [Row(1, {"label": "a b", "value": "1 000", "note": "two lines"})])

    assert (found.items, found.unchanged) == ([], 1)
    assert board.entries.get() == entry


def test_a_name_that_occurs_several_times_is_matched_in_order(board):
    """First by all values, so that the entry which is the same stays as it is."""
    first, second, third = (
        board.entries.create(label="Oslo", value=value, position=10 * n)
        for n, value in enumerate(["10", "11", "12"], start=1)
    )

    do(board, [Row(n, {"label": "Oslo", "value": value}) for n, value in enumerate(["11", "12", "13"])])

    assert [row[:3] for row in state(board)] == [
        (second.pk, "Oslo", "11"),
        (third.pk, "Oslo", "12"),
        (first.pk, "Oslo", "13"),
    ]


@pytest.mark.parametrize("on_board, in_table", [(2, 1), (1, 2), (2, 3)])
def test_when_updating_an_ambiguous_name_is_a_fault(board, on_board, in_table):
    """The chosen entry could be the wrong one; when replacing, the table defines the whole board."""
    for _ in range(on_board):
        board.entries.create(label="Oslo")
    given = rows(*["Oslo"] * in_table)

    faults = planned(board, given, Mode.UPDATE).faults

    assert [fault.line for fault in faults] == [*range(1, in_table + 1)]
    assert "unclear which is meant" in faults[0].words
    assert planned(board, given).faults == []
    assert planned(board, rows(*["Rom"] * in_table), Mode.UPDATE).faults == []


def test_a_preview_is_outdated_when_a_value_to_be_overwritten_changes(board, entries):
    """And with nothing else: a value that the import leaves alone may change meanwhile."""
    given = rows("a*", "b", value="2")
    seen = planned(board, given).seen

    board.entries.filter(label="b").update(value="7", note="written by a job")
    assert planned(board, given).seen == seen
    board.entries.filter(label="c").update(note="about to be deleted unseen")
    assert planned(board, given).seen != seen
    board.entries.filter(label="c").update(note="")
    assert planned(board, given).seen == seen
    board.entries.filter(label="a").update(value="9")
    assert planned(board, given).seen != seen
    board.entries.filter(label="a").update(value="1")
    board.entries.create(label="e")
    assert planned(board, given).seen != seen


@pytest.fixture
def _kept(settings):
    settings.BOARDS_HISTORY_DAYS = 30


@pytest.mark.usefixtures("_kept")
def test_an_import_is_one_change_that_is_undone_as_one(board, entries, editor):
    """Added entries are deleted, deleted ones return with their keys, and former values and places are restored."""
    before = state(board)

    batch = do(board, rows("d", "new", "a*", "b", value="2"), actor=editor)

    assert batch.summary == "Import: 1 new, 1 changed, 1 moved, 1 gone"
    [item] = history.batches_in_words(history.batches(board), board)
    assert (item["kind"], len(item["parts"])) == (batch.summary, 4)
    assert item["revision"].actor == editor
    assert revert(history.steps_of(board, item["revision"].pk)).left == []
    assert state(board) == before


@pytest.mark.usefixtures("_kept")
def test_an_undo_leaves_alone_what_was_changed_later(board, entries, editor):
    """As for every other change."""
    do(board, rows("a*", "b*", "c", "d", value="2"), actor=editor)
    board.entries.filter(label="a").update(value="3")

    left = revert(history.steps_of(board, history.batches(board)[0].newest)).left

    assert "value has become “3” since then, and was left as it is" in left[0]
    assert [row[2] for row in state(board)] == ["3", "1", "1", "1"]


@pytest.mark.usefixtures("_kept")
def test_an_import_that_changes_nothing_is_not_recorded(board, entries, editor):
    """A program that sends the same every minute does not fill the history."""
    assert do(board, rows("a", "b", "c", "d"), actor=editor) is None
    assert not Batch.objects.exists()
    assert not Revision.objects.filter(is_baseline=False).exists()


def test_without_a_history_an_import_works_too(board, entries, editor, settings):
    """There is nothing to undo it by."""
    settings.BOARDS_HISTORY_DAYS = 0

    assert do(board, rows("a"), actor=editor) is None
    assert [row[1] for row in state(board)] == ["a"]
    assert not Batch.objects.exists()


def test_many_rows_of_one_name_are_matched_in_one_pass(board, monkeypatch):
    """Each entry is read once for each set of columns: the lock of the board is held meanwhile."""
    entries = [Entry(pk=number, board=board, label="Oslo", value=str(number)) for number in range(200)]
    given = [Row(number, {"label": "Oslo", "value": str(-number)}) for number in range(1, 201)]
    reads = []

    def held(entry, name):
        reads.append(name)
        return getattr(entry, name)

    monkeypatch.setattr(plans, "held", held)

    found = plan(entries, given, Mode.REPLACE)

    assert found.count("changed") == 200
    assert len(reads) <= 200 * 2 * 2


def test_many_rows_are_written_by_few_queries(board, settings):
    """Each is in the history all the same."""
    settings.BOARDS_HISTORY_DAYS = 30
    for number in range(60):
        board.entries.create(label=f"{number}", position=number)
    given = [Row(number, {"label": f"{number}", "value": "new"}) for number in range(120)]

    with CaptureQueriesContext(connection) as queries:
        batch = do(board, given)

    assert len(queries) < 30
    assert batch.revisions.count() == 120
    assert {row[2] for row in state(board)} == {"new"}
