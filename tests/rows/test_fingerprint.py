"""Fingerprints: the same in every process of a release, another for each form of a feed."""

import subprocess
import sys
from typing import Any

import pytest
from django.db.models import F, Q
from django.db.models.functions import Lower, Now

from realtime.boards.models import Board, Entry
from realtime.feeds import Feed
from realtime.rows.fingerprint import canonical, have_same_topics

NEVER_EQUAL = object()


def feed(**attributes) -> Feed:
    return type("SomeFeed", (Feed,), {"name": "entries", **attributes})(Entry)


def visible(self):
    return Entry.objects.filter(is_visible=True)


def hidden(self):
    return Entry.objects.filter(is_visible=False)


DECLARATIONS: list[dict[str, Any]] = [
    {},
    {"topic_field": "board_id"},
    {"topic_field": "status"},
    {"fields": ["label"]},
    {"fields": ["label", "value"]},
    {"filter": Q(is_visible=True)},
    {"filter": Q(is_visible=False)},
    {"filter": ~Q(is_visible=True)},
    {"filter": Q(label="a") & Q(value="b")},
    {"filter": Q(label="a") | Q(value="b")},
    {"filter": Q(updated__lte=Now())},
    {"filter": Q(label=F("value"))},
    {"filter": Q(label=Lower("value"))},
    {"filter": Q(pk__in={3, 1, 2})},
    {"filter": Q(board__in=[Board(pk=3)])},
    {"ordering": ["position"]},
    {"ordering": ["-position"]},
    {"limit": 3},
    {"depends_on": ["board"]},
    {"template_name": "boards/_entry.html"},
    {"template_name": "boards/_board_heading.html"},
    {"template_name": "boards/no_such_template.html"},
    {"get_queryset": visible},
    {"get_queryset": hidden},
]


@pytest.mark.parametrize(
    "attributes", [{"topic_field": "board_id"}, {"depends_on": ["board"]}, {"fields": ["label"]}], ids=str
)
def test_a_form_with_other_topics_is_recognised(attributes):
    """A change touches other topics in it; the other half of the fingerprint says whether rows differ."""
    present, other = feed().fingerprint, feed(**attributes).fingerprint

    assert have_same_topics(present, other) == ("fields" in attributes)
    assert not have_same_topics("", other)


def test_each_form_of_a_feed_has_a_fingerprint_of_its_own():
    """Rows of one must not be taken for rows of another."""
    found = [feed(**attributes).fingerprint for attributes in DECLARATIONS]

    assert len(set(found)) == len(found)
    assert {len(value) for value in found} == {16}
    assert [feed(**attributes).fingerprint for attributes in DECLARATIONS] == found


def test_another_process_has_the_same_fingerprints():
    """With other addresses of objects and another order of sets."""
    code = (
        "import django; django.setup()\n"
        "from tests.rows.test_fingerprint import DECLARATIONS, feed\n"
        "print(*[feed(**attributes).fingerprint for attributes in DECLARATIONS])"
    )
    environment = {"DJANGO_SETTINGS_MODULE": "config.settings", "PYTHONHASHSEED": "7"}

    said = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )

    assert said.stdout.split() == [feed(**attributes).fingerprint for attributes in DECLARATIONS]


@pytest.fixture
def templates(settings, tmp_path):
    """A function that writes a template file."""
    declared = settings.TEMPLATES[0]

    def write(name: str, source: str) -> None:
        (tmp_path / name).write_text(source)
        settings.TEMPLATES = [{**declared, "DIRS": [tmp_path]}]  # drops what the loaders have cached

    return write


@pytest.mark.parametrize(
    "row",
    [
        "<li>{% include 'part.html' %}</li>",
        "{% extends 'part.html' %}{% block inner %}x{% endblock %}",
        "{% if entry.note %}<li>{% with x=1 %}{% include 'part.html' with y=2 only %}{% endwith %}</li>{% endif %}",
    ],
)
def test_a_part_of_the_template_changes_the_fingerprint(templates, row):
    """Although the template itself is the same: it includes or extends the part."""
    found = []
    for part in ("<b>one</b>", "<b>two</b>"):
        templates("row.html", row)
        templates("part.html", part)
        found.append(feed(template_name="row.html").fingerprint)

    assert len(set(found)) == 2


@pytest.mark.parametrize(
    "row",
    ["{% include 'row.html' %}", "{% include entry.label %}", "{% include 'nothing.html' %}", "{% if %}"],
    ids=["of itself", "by a variable", "missing", "with a syntax error"],
)
def test_a_template_that_cannot_be_followed_has_a_fingerprint(templates, row):
    """It is computed where no error may occur: in every round of sequencing."""
    templates("row.html", row)

    assert len(feed(template_name="row.html").fingerprint) == 16


@pytest.mark.parametrize("name, value", [("LANGUAGE_CODE", "de"), ("TIME_ZONE", "Asia/Tokyo")])
def test_settings_that_rows_are_rendered_by_change_the_fingerprint(settings, name, value):
    before = feed().fingerprint
    setattr(settings, name, value)

    assert feed().fingerprint != before


def test_a_value_without_a_readable_form_counts_by_its_type():
    """An address would differ in every process."""
    assert canonical(NEVER_EQUAL) == ["object"]
    assert "0x" not in repr(canonical([lambda: 0, object(), {object(): object}]))


@pytest.mark.parametrize(
    "text", ["", "def visible(self):\n    return (\n", "\n"], ids=["gone", "cut off", "empty"]
)
def test_a_function_whose_file_has_changed_meanwhile_has_a_fingerprint(tmp_path, text):
    """As while a new release is copied over a running one."""
    path = tmp_path / "live.py"
    path.write_text("\n\ndef visible(self):\n    return None\n")
    names: dict[str, Any] = {}
    exec(compile(path.read_text(), str(path), "exec"), names)
    path.write_text(text)

    assert len(feed(get_queryset=names["visible"]).fingerprint) == 16
