"""The page on which an editor imports a table: nothing is lost, and nothing is done that was not shown."""

import re
from html import unescape

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from realtime.boards import history
from realtime.boards.exchange.importing import MAX_CHARACTERS
from realtime.boards.exchange.workbooks import workbook

TABLE = "Name\tValue\nSaltmere\t07:10\nNew one\t08:00"


@pytest.fixture(autouse=True)
def _kept(settings):
    settings.BOARDS_HISTORY_DAYS = 30


@pytest.fixture
def address(board):
    return reverse("boards:import", args=[board.slug])


def hidden(response) -> dict[str, str]:
    """Return what the form sends along."""
    html = response.content.decode()
    return {
        name: re.search(f'name="{name}"(?: value="([^"]*)")?', html)[1] or ""
        for name in ("seen", "previewed")
    }


def text_in(response) -> str:
    """Return what the form shows as the table."""
    return unescape(
        re.search(r"<textarea[^>]*>\r?\n?(.*?)</textarea>", response.content.decode(), re.DOTALL)[1]
    )


def preview(client, address, text=TABLE, mode="update", **more):
    return client.post(address, {"table": text, "mode": mode, "preview": "1"} | more)


def confirm(client, address, previewed, text=TABLE, mode="update", **more):
    sent = {"table": text.replace("\n", "\r\n"), "mode": mode, "import": "1"} | hidden(previewed) | more
    return client.post(address, sent)


def state(board):
    return [(entry.label, entry.value) for entry in board.entries.all()]


def test_a_pasted_table_is_previewed_then_imported(editor_client, editor, board, entry, address):
    """Nothing is written before; afterwards the board says what was done, and where it is undone."""
    assert "<textarea" in editor_client.get(address).content.decode()
    shown = preview(editor_client, address)
    assert "Import: 1 new, 1 changed" in shown.content.decode()
    assert state(board) == [("Saltmere", "06:40")]

    response = confirm(editor_client, address, shown)

    assert response.url == board.get_absolute_url()
    assert state(board) == [("Saltmere", "07:10"), ("New one", "08:00")]
    page = editor_client.get(response.url).content.decode()
    assert (
        f'Imported: 1 new, 1 changed. <a href="{reverse("boards:history", args=[board.slug])}">Undo' in page
    )
    assert LogEntry.objects.get().change_message == "Imported: 1 new, 1 changed."
    entry.refresh_from_db()
    assert (entry.note, entry.status) == ("Pier 2", "ok")


def test_the_history_shows_an_import_as_one_change_and_undoes_it(editor_client, board, entry, address):
    """So does the history of the undo."""
    confirm(editor_client, address, preview(editor_client, address, mode="replace"), mode="replace")
    [batch] = history.batches(board)
    page = editor_client.get(reverse("boards:history", args=[board.slug])).content.decode()
    assert page.count("/undo/") == 1
    assert "Import: 1 new, 1 changed" in page

    editor_client.post(reverse("boards:undo", args=[board.slug, batch.newest]))

    assert state(board) == [("Saltmere", "06:40")]
    page = editor_client.get(reverse("boards:history", args=[board.slug])).content.decode()
    assert page.count("/undo/") == 2
    assert "Undone: Import: 1 new, 1 changed" in page


@pytest.mark.parametrize(
    "later", [{"value": "09:00"}, {"value": "07:10"}, None], ids=["changed", "done", "gone"]
)
def test_what_was_changed_after_the_preview_is_not_overwritten(editor_client, board, entry, address, later):
    """The import says so, and shows what it would do now."""
    shown = preview(editor_client, address)
    board.entries.update(**later) if later else board.entries.all().delete()
    before = state(board)

    response = confirm(editor_client, address, shown)

    assert state(board) == before
    html = response.content.decode()
    assert "The board was changed after the preview, so nothing was imported" in html
    assert html.count("since the preview</strong>") == (0 if later == {"value": "07:10"} else 1)
    assert text_in(response).splitlines() == TABLE.splitlines()
    assert confirm(editor_client, address, response).status_code == 302
    assert state(board) == [("Saltmere", "07:10"), ("New one", "08:00")]


def test_what_the_import_does_not_touch_may_change(editor_client, board, entry, address):
    """A board whose other values change every few seconds can be imported into."""
    other = board.entries.create(label="Other", value="1")
    shown = preview(editor_client, address)
    board.entries.filter(pk=other.pk).update(value="2")
    board.entries.filter(pk=entry.pk).update(note="by a job")

    assert confirm(editor_client, address, shown).status_code == 302


@pytest.mark.parametrize(
    "change", [{"text": TABLE.replace("08", "09")}, {"mode": "replace"}], ids=["text", "mode"]
)
def test_a_table_that_was_edited_after_the_preview_is_shown_again(
    editor_client, board, entry, address, change
):
    """Nothing is done that was not shown."""
    board.entries.create(label="Other")
    shown = preview(editor_client, address)

    response = confirm(editor_client, address, shown, **change)

    assert response.status_code == 200
    assert "was changed after the preview, so nothing was imported. Look at" in response.content.decode()
    assert state(board) == [("Saltmere", "06:40"), ("Other", "")]


def test_nothing_is_imported_without_a_preview(editor_client, board, entry, address):
    """A request that was made up is shown what it would do."""
    response = editor_client.post(address, {"table": TABLE, "mode": "replace", "import": "1"})

    assert response.status_code == 200
    assert state(board) == [("Saltmere", "06:40")]


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "no row with text"),
        ("Name;Value", "no rows below"),
        ('Oslo\t"1\nRom\t2', "In line 1 a quotation mark has no end"),
        ("a;b;c;d;e;f;g;h;i", "9 columns, but no headings"),
        ("x\n" * 2002, "2002 lines are too many"),
        ("Name;Status\nOslo;late\n;ok", "2 things are wrong in the table"),
        ("Oslo\0", "Null characters are not allowed"),
    ],
    ids=["nothing", "headings", "quote", "columns", "rows", "cells", "null"],
)
def test_what_was_pasted_stays_in_the_form(editor_client, board, entry, address, text, words):
    """Whatever its faults are: they are corrected in the form."""
    response = preview(editor_client, address, text, mode="replace")

    html = unescape(response.content.decode())
    assert words in html
    assert 'name="import"' not in html
    assert text_in(response).splitlines() == text.splitlines()
    assert re.search(r'value="replace"[^>]*checked', html)
    assert state(board) == [("Saltmere", "06:40")]


def test_a_table_that_is_too_long_is_refused_with_words(editor_client, board, address):
    """The table stays in the form."""
    response = preview(editor_client, address, "x" * (MAX_CHARACTERS + 1))

    assert f"at most {MAX_CHARACTERS} characters" in response.content.decode()
    assert len(text_in(response)) == MAX_CHARACTERS + 1


FILES = {
    "utf-8.csv": "Name;Value\nSaltmere;07:10\nTromsø;1".encode("utf-8-sig"),
    "windows.csv": "Name;Value\nSaltmere;07:10\nTromsø;1".encode("cp1252"),
    "excel.txt": "Name\tValue\nSaltmere\t07:10\nTromsø\t1".encode("utf-16"),
    "book.xlsx": workbook("x", [["Name", "Value"], ["Saltmere", "07:10"], ["Tromsø", "1"]]),
    "misnamed.csv": workbook("x", [["Name", "Value"], ["Saltmere", "07:10"], ["Tromsø", "1"]]),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_becomes_the_table_in_the_form(editor_client, board, entry, address, name):
    """So it is imported without being sent again, and can be corrected there. Its content counts, not its name."""
    shown = preview(editor_client, address, "", file=SimpleUploadedFile(name, FILES[name]))

    assert "Import: 1 new, 1 changed" in shown.content.decode()
    assert "Tromsø" in text_in(shown)
    assert confirm(editor_client, address, shown, text_in(shown)).status_code == 302
    assert state(board) == [("Saltmere", "07:10"), ("Tromsø", "1")]


@pytest.mark.parametrize(
    "content, words",
    [(b"\x89PNG\r\n\x1a\n", "an image (PNG)"), (b"", "The file is empty"), (b"PK\x03\x04", "damaged")],
    ids=["image", "empty", "damaged"],
)
def test_a_file_that_is_not_a_table_keeps_what_was_pasted(
    editor_client, board, entry, address, content, words
):
    """Cells that were pasted before the file was chosen are still there."""
    shown = preview(editor_client, address, file=SimpleUploadedFile("rows.csv", content, "text/csv"))

    assert words in shown.content.decode()
    assert text_in(shown) == TABLE
    assert state(board) == [("Saltmere", "06:40")]


def test_a_workbook_with_formulas_as_text_comes_back(editor_client, board, address):
    """In between it is text in the form, where a mark shows that it is not a formula."""
    content = workbook("x", [["Name", "Note"], ["=1+1", "-5"], ["'quoted", "Oslo, north"]])

    shown = preview(editor_client, address, "", file=SimpleUploadedFile("x.xlsx", content))
    confirm(editor_client, address, shown, text_in(shown))

    assert [(entry.label, entry.note) for entry in board.entries.all()] == [
        ("=1+1", "-5"),
        ("'quoted", "Oslo, north"),
    ]


def test_texts_of_a_table_are_escaped_on_the_page(editor_client, board, address):
    """Script in a cell, a heading or a fault."""
    evil = "<script>alert(1)</script>"

    for text in (f"{evil};1;{evil}", f"Name;{evil}\n{evil};1"):
        assert evil not in preview(editor_client, address, text).content.decode()


def test_a_row_that_cannot_be_written_leaves_all_as_it_was(editor_client, board, entry, address, monkeypatch):
    """The import is one transaction."""
    shown = preview(editor_client, address, mode="replace")
    monkeypatch.setattr("realtime.boards.history.record", lambda *args, **kwargs: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        confirm(editor_client, address, shown, mode="replace")

    assert state(board) == [("Saltmere", "06:40")]


def test_importing_needs_every_right_on_entries(client, editor, visitor, board, address):
    """It adds, changes and deletes."""
    assert client.get(address).status_code == 302
    editor.groups.clear()
    client.force_login(editor)
    assert client.get(address).status_code == 302
    client.force_login(visitor)
    assert client.post(address, {"table": "x"}).status_code == 302


def test_a_board_that_was_deleted_meanwhile_is_not_found(editor_client, board, address):
    """Nothing is left of it."""
    board.delete()

    assert preview(editor_client, address).status_code == 404
