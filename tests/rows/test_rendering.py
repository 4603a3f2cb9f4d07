"""Rendering: fields, HTML and sort key of a row."""

import json
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.template import Template

from realtime.boards.models import Board, Entry
from realtime.engine.order import sort_key
from realtime.rows import rendering
from realtime.rows.rendering import BadRow, render_row, with_digest
from tests.support.contents import html_of, json_of

ENTRY = Entry(pk=7, board=Board(pk=3, slug="quay"), label="<Salt>mere", position=5)


@pytest.fixture
def template(monkeypatch):
    """A function that makes a text the template of every name."""

    def use(source: str) -> None:
        rendered = Template(source)
        found = SimpleNamespace(render=lambda context: rendered.render(_context(context)))
        monkeypatch.setattr(rendering, "get_template", lambda name: found)

    return use


def _context(values):
    from django.template import Context

    return Context(values)


def test_a_row_has_its_values_as_json():
    """And no HTML without a template."""
    row = render_row(ENTRY, {"label": "<Salt>mere", "board": 3}, [], None)

    assert row.key == "7"
    assert json.loads(json_of(row)) == {"label": "<Salt>mere", "board": 3}
    assert row.html is msgspec.UNSET


def test_the_root_element_has_key_and_order(template):
    """The page finds and sorts rows by them; text is escaped."""
    template("\n<!-- a row --> <li class='x'>{{ entry.label }}</li>\n")

    row = render_row(ENTRY, {}, ["-position"], "entry.html")

    marks = f' data-key="7" data-order="{row.order}"'
    assert row.html == f"<!-- a row --> <li{marks} class='x'>&lt;Salt&gt;mere</li>"


@pytest.mark.parametrize("comment", ["", "<!-- <b> --> "])
def test_a_painted_row_has_its_digest_on_the_root_element(template, comment):
    """The HTML in messages has none: there it is a field of its own."""
    template(comment + "<li class='x'><b data-key='mine'></b></li>")
    row = render_row(ENTRY, {}, ["-position"], "entry.html")

    painted = with_digest(html_of(row), 7)

    assert painted == html_of(row).replace("<li ", '<li data-digest="7" ')


@pytest.mark.parametrize("source", ["", "text", "text <li></li>", "<!-- only a comment -->"])
def test_a_template_without_a_root_element_is_refused(template, source):
    """The error names the template and shows what it rendered."""
    template(source)

    with pytest.raises(ImproperlyConfigured, match=r"entry\.html must render one element"):
        render_row(ENTRY, {}, [], "entry.html")


@pytest.mark.parametrize(
    "ordering, pairs",
    [
        ([], []),
        (["-position", "label"], [(5, True), ("<Salt>mere", False)]),
        (["board"], [(3, False)]),
        (["board__slug", "board__pk"], [("quay", False), (3, False)]),
    ],
)
def test_the_order_is_that_of_the_fields_and_then_of_the_primary_key(ordering, pairs):
    """Paths lead through relations; a relation itself sorts by its key."""
    row = render_row(ENTRY, {}, ordering, None)

    assert row.order == sort_key([*pairs, (7, False)])


def test_a_path_through_a_null_relation_sorts_like_null():
    """As in SQLite."""
    lonely = SimpleNamespace(board=None)

    assert rendering._value(lonely, "board__slug") is None


@pytest.mark.parametrize("field", ["label", "ordering", "template"])
def test_a_row_that_is_too_large_is_refused(template, monkeypatch, field):
    """Whatever makes it large; the error names the sizes. Nothing larger is ever sent."""
    template("<li>{{ entry.label }}{{ entry.label }}</li>")
    monkeypatch.setattr(rendering, "MAX_ROW_BYTES", 100)
    entry = Entry(pk=7, label="x" * 60)
    values = {"label": "x" * 60, "note": "y" * 60} if field == "label" else {}
    ordering = ["label"] if field == "ordering" else []

    with pytest.raises(BadRow, match=r"it has 1\d\d bytes, of at most 100; remove large fields"):
        render_row(entry, values, ordering, "entry.html" if field == "template" else None)


@pytest.mark.parametrize("value", [{}, [], {"a": 1}])
def test_a_row_that_is_nested_too_deeply_is_refused(value: Any) -> None:
    """One that a deep stack can still encode could not be decoded elsewhere."""
    for depth in range(rendering.MAX_DEPTH - 1):
        value = [value] if depth % 2 else {"in": value}

    assert render_row(ENTRY, {"label": value}, [], None)
    too_deep: Any = [value]
    with pytest.raises(BadRow, match="nested more than 100 levels deep"):
        render_row(ENTRY, {"label": too_deep}, [], None)
