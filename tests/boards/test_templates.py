"""The row templates: every viewer receives what they render."""

from html.parser import HTMLParser

import pytest
from django.template.loader import render_to_string

from realtime.boards.models import Board, Entry, Status
from realtime.feeds import registry
from tests.support.contents import html_of

EVIL = "<script>alert(1)</script>\"'&"
VOID = {"img", "br", "col", "input", "link", "meta"}


class Outline(HTMLParser):
    """Collects the elements of a fragment, and the text outside of elements."""

    def __init__(self, html):
        super().__init__()
        self.roots, self.names, self.open, self.stray = [], [], [], ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        if not self.open:
            self.roots.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if not self.open:
            self.stray += text.strip()


@pytest.fixture
def evil_board(db):
    return Board.objects.create(slug="evil", title=EVIL, description=EVIL)


def test_every_row_template_renders_one_element_with_its_key(board, staff_board, entry):
    """The browser client expects exactly one element per row."""
    for name, instance, tag in [
        ("entries", entry, "tr"),
        ("board", board, "div"),
        ("boards", board, "li"),
        ("staffboards", staff_board, "li"),
    ]:
        outline = Outline(registry[name].row(instance).html)

        [(root, attributes)] = outline.roots
        assert (root, attributes["data-key"]) == (tag, str(instance.pk))
        assert (outline.open, outline.stray) == ([], "")


def test_an_entry_without_optional_texts_is_one_element(board):
    """An entry may have nothing but a label."""
    outline = Outline(registry["entries"].row(board.entries.create(label="Bare")).html)

    assert len(outline.roots) == 1
    assert outline.names == ["tr", "th", "td", "td", "td", "td", "time"]


@pytest.mark.parametrize("name", ["label", "value", "unit", "status", "note"])
def test_no_field_of_an_entry_becomes_markup(name, board):
    """Editors write text; a viewer's browser runs none of it."""
    entry = board.entries.create(**({"label": "Plain"} | {name: EVIL}))

    html = html_of(registry["entries"].row(Entry.objects.get(pk=entry.pk)))

    assert "script" not in Outline(html).names
    assert "&lt;script&gt;" in html
    assert "<script" not in html


def test_no_field_of_a_board_becomes_markup(evil_board):
    """Its heading and its card in the list escape title and description."""
    for name in ["board", "boards"]:
        html = html_of(registry[name].row(evil_board))

        assert html.count("&lt;script&gt;") == 2
        assert "<script" not in html


@pytest.mark.parametrize("status", Status)
def test_a_status_is_shown_as_text_and_class(status, board):
    """Not every viewer can see colours; an entry without a status shows neither."""
    html = html_of(registry["entries"].row(board.entries.create(label="Plain", status=status)))

    assert (f'class="status status-{status.value}">{status.label}<' in html) == bool(status.value)
    assert ('class="status' in html) == bool(status.value)


@pytest.mark.parametrize("name", ["403.html", "404.html", "500.html", "503.html"])
def test_error_pages_depend_on_nothing_that_may_have_failed(name):
    """They are rendered without a request, a user or a database."""
    assert "Tidemark" in render_to_string(name)
