"""The row templates: what they render is what every viewer is sent."""

from html.parser import HTMLParser

import pytest
from django.template.loader import render_to_string

from realtime.boards.models import Board, Entry, Status
from realtime.feeds import registry

EVIL = "<script>alert(1)</script>\"'&"
VOID = {"img", "br", "col", "input", "link", "meta"}


class Outline(HTMLParser):
    """Collects the elements of a fragment, and its text outside of them."""

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
    """The browser takes a row's template for one element."""
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


def test_a_row_is_one_element_without_any_of_its_optional_texts(board):
    """So is an entry of which there is but a label."""
    outline = Outline(registry["entries"].row(board.entries.create(label="Bare")).html)

    assert len(outline.roots) == 1
    assert outline.names == ["tr", "th", "td", "td", "td", "td", "time"]


@pytest.mark.parametrize("name", ["label", "value", "unit", "status", "note"])
def test_no_field_of_an_entry_becomes_markup(name, board):
    """Editors write text; nothing they write is run by who reads it."""
    entry = board.entries.create(**({"label": "Plain"} | {name: EVIL}))

    html = registry["entries"].row(Entry.objects.get(pk=entry.pk)).html

    assert "script" not in Outline(html).names
    assert "&lt;script&gt;" in html
    assert "<script" not in html


def test_no_field_of_a_board_becomes_markup(evil_board):
    """Nor do the texts of a board, in its heading and in the list."""
    for name in ["board", "boards"]:
        html = registry[name].row(evil_board).html

        assert html.count("&lt;script&gt;") == 2
        assert "<script" not in html


@pytest.mark.parametrize("status", Status)
def test_a_status_is_said_in_words_and_in_a_class(status, board):
    """Colour alone tells nothing to who cannot see it; an entry without a status shows none."""
    html = registry["entries"].row(board.entries.create(label="Plain", status=status)).html

    assert (f'class="status status-{status.value}">{status.label}<' in html) == bool(status.value)
    assert ('class="status' in html) == bool(status.value)


@pytest.mark.parametrize("name", ["403.html", "404.html", "500.html"])
def test_error_pages_need_nothing_that_may_have_failed(name):
    """They are rendered without a request, a user or a database."""
    assert "Tidemark" in render_to_string(name)
