"""Statuses of a board's own, wherever a status is shown, chosen, sorted by or exchanged."""

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from realtime.boards import due, history
from realtime.boards.exchange.columns import table
from realtime.boards.exchange.exporting import exported
from realtime.boards.exchange.reading import lines
from realtime.boards.icons import ICONS
from realtime.boards.models import BoardStatus, Entry, Sorting, Status
from realtime.boards.own_statuses import MAX_NAME, Colour, name_for
from realtime.feeds import registry
from tests.boards.test_contrast import BOARD


@pytest.fixture
def statuses(board):
    """From the best to the worst."""
    return [
        board.statuses.create(word=word, colour=colour, icon=icon, position=position)
        for word, colour, icon, position in [
            ("On time", Colour.OK, "check", 1),
            ("Gate open", Colour.VIOLET, "", 2),
            ("Diverted", Colour.CRITICAL, "alert", 3),
        ]
    ]


def write(**columns):
    """Write into all entries as SQL does; the job does the rest."""
    Entry.objects.update(**columns)
    due.write_due()


def row_of(entry):
    """Return the row as subscribers receive it."""
    rows = registry["entries"].read_topic(entry.board_id)
    return next(row.html for row in rows if row.key == str(entry.pk))


def test_a_status_is_shown_by_word_colour_and_icon(board, entry, statuses):
    """The word is there as text: colour and icon are no more than additions to it."""
    write(status=statuses[2].name)

    html = row_of(entry)

    assert ">Diverted</span>" in html
    assert "status-critical" in html
    assert ICONS["alert"].path in html
    assert 'aria-hidden="true"' in html


def test_an_entry_keeps_its_status_when_the_word_changes(board, entry, statuses):
    write(status="gate-open")

    statuses[1].word = "Boarding <now>"
    statuses[1].save()

    assert ">Boarding &lt;now&gt;</span>" in row_of(entry)
    assert board.word_of("gate-open") == "Boarding <now>"


@pytest.mark.parametrize("status, shown", [("ok", ">OK<"), ("lost", ">lost<"), ("", "entry-status")])
def test_other_statuses_are_shown_as_before(board, entry, statuses, status, shown):
    """A standard one, one that a program has written, and none."""
    write(status=status)

    assert shown in row_of(entry)


def test_a_status_with_the_name_of_a_standard_one_replaces_it(board, entry):
    board.statuses.create(word="Ok", colour=Colour.TEAL)
    board.statuses.filter(name="ok").update(word="Running")
    write(status="ok")

    assert ">Running</span>" in row_of(entry)


def test_rows_are_read_with_few_queries(board, statuses, django_assert_max_num_queries):
    """However many rows: each has in its own columns what is shown of its status."""
    Entry.objects.bulk_create(Entry(board=board, label=str(n), status="diverted") for n in range(50))

    with django_assert_max_num_queries(1):
        rows = registry["entries"].read_topic(board.pk)

    assert len(rows) == 50


def test_editors_choose_from_the_boards_own(board, statuses, staff_board):
    assert [name for name, _ in board.offered_statuses] == ["", "on-time", "gate-open", "diverted"]
    assert [name for name, _ in staff_board.offered_statuses] == [*Status.values]


@pytest.mark.parametrize("status, is_valid", [("diverted", True), ("ok", True), ("", True), ("lost", False)])
def test_an_entry_has_a_status_of_its_board(board, entry, statuses, staff_board, status, is_valid):
    entry.status = status
    other = Entry(board=staff_board, label="Other", status="diverted")

    if is_valid:
        entry.full_clean()
    else:
        with pytest.raises(ValidationError, match="lost"):
            entry.full_clean()
    with pytest.raises(ValidationError, match="diverted"):
        other.full_clean()


def test_the_worst_of_its_own_is_first(board, statuses):
    """Written at once by Django, and by the job after SQL."""
    board.sorting = Sorting.STATUS
    board.save()
    for status in ["on-time", "diverted", "gate-open", ""]:
        board.entries.create(label=status or "none", status=status)
    order = ["diverted", "gate-open", "on-time", "none"]

    at_once = [entry.label for entry in registry["entries"].topic_rows(board.pk)]
    statuses[0].position = 9
    statuses[0].save()
    due.write_due()

    assert at_once == order
    assert [entry.label for entry in registry["entries"].topic_rows(board.pk)] == [
        "on-time",
        *order[:2],
        "none",
    ]


@pytest.mark.parametrize("text", ["Diverted", "DIVERTED", "diverted"])
def test_imports_know_the_words(board, statuses, text):
    found = table(lines(f"Label;Status\nBus;{text}\n"), board)

    assert [row.values["status"] for row in found.rows] == ["diverted"]


def test_an_unknown_word_is_answered_with_those_of_the_board(board, statuses):
    found = table(lines("Label;Status\nBus;Late\n"), board)

    assert "On time, Gate open, Diverted" in found.faults[0].words


def test_exports_have_the_words(board, entry, statuses):
    Entry.objects.update(status="gate-open")

    assert "Gate open" in exported(board, "csv").decode()


@pytest.mark.parametrize(
    "change",
    [
        lambda board: board.statuses.filter(name="gate-open").update(word="Go", icon="lock"),
        lambda board: board.statuses.filter(name="gate-open").delete(),
        lambda board: board.statuses.all().delete(),
        lambda board: board.entries.update(status="diverted"),
        lambda board: board.entries.update(status="ok"),
        lambda board: board.entries.update(look="gate-open pink - Forged"),
        lambda board: board.entries.update(look="", language="xx", clock="Asia/Tokyo"),
    ],
    ids=["word", "one_less", "none_left", "other", "standard", "forged", "lost"],
)
def test_what_sql_writes_is_shown_when_the_job_has_looked(board, entry, statuses, change):
    """Into either table; until then no row shows the look of another status."""
    entry.status = "gate-open"
    entry.save()

    change(board)
    own = Entry.objects.get(pk=entry.pk).own_look
    due.write_due()

    assert own is None or own.name == board.entries.get().status
    after = board.entries.get()
    expected = {status.name: status.look for status in board.statuses.all()}.get(after.status, "")
    assert (after.look, after.language, after.clock) == (expected, board.language, board.time_zone)


@pytest.mark.parametrize("way", ["save", "delete"])
def test_a_change_of_a_status_is_one_transaction_with_its_rows(board, entry, statuses, way):
    """Editors' changes need no job; the entries of another board, and of other statuses, stay."""
    entry.status = "gate-open"
    entry.save()
    other = board.entries.create(label="Other", status="diverted")
    look = other.look

    statuses[1].word = "Go"
    getattr(statuses[1], way)()

    entry.refresh_from_db()
    other.refresh_from_db()
    assert entry.look == ("gate-open violet - Go" if way == "save" else "")
    assert other.look == look
    assert "Go</span>" in row_of(entry) or way == "delete"


def test_language_and_zone_of_a_board_are_in_its_rows_at_once(board, entry):
    board.language, board.time_zone = "de", "Asia/Tokyo"
    board.save()

    entry.refresh_from_db()

    assert (entry.language, entry.clock) == ("de", "Asia/Tokyo")
    assert board.entries.create(label="New").language == "de"


def test_the_history_has_the_words(board, entry, statuses, editor, settings):
    settings.BOARDS_HISTORY_DAYS = 30
    before = history.states([entry.pk])
    Entry.objects.update(status="gate-open")
    history.record(editor, before)

    [item] = [item for each in history.revisions(board) if (item := history.in_words(each, board))]

    assert ("status", "OK", "Gate open") in item["changes"]


@pytest.mark.parametrize("kind", ["rss", "atom", "json"])
def test_feeds_for_readers_have_the_words(client, board, entry, statuses, kind):
    Entry.objects.update(status="gate-open")

    content = client.get(reverse("boards:feed", args=[board.slug, kind])).content.decode()

    assert "(Gate open)" in content
    assert "gate-open" not in content


@pytest.mark.parametrize(
    "word, name", [("On time!", "on-time"), ("Ώρα", "ώρα"), ("✈", "status"), ("x" * 40, "x" * MAX_NAME)]
)
def test_a_name_is_made_of_the_word(word, name):
    assert name_for(word, []) == name
    assert name_for(word, [name]) not in (name, "")
    assert len(name_for(word, [name, name_for(word, [name])])) <= MAX_NAME


def test_programs_may_leave_out_all_but_word_and_board(board):
    assert BoardStatus.objects.create(board=board, word="Late").colour == Colour.GREY


@pytest.mark.parametrize("colour", Colour.values)
def test_each_colour_is_in_the_style_sheet(colour):
    """Grey is that of a status without a rule of its own."""
    assert f".status-{colour} {{" in BOARD or colour == Colour.GREY
