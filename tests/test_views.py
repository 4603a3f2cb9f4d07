"""The inspector; tests/runtime/test_metrics.py has the metrics."""

import re

import pytest
from django.contrib.staticfiles import finders
from django.urls import reverse

from realtime import views
from realtime.boards.models import Board


def test_the_inspector_is_for_staff(log, client, staff):
    """Other visitors are sent to the login page."""
    address = reverse("realtime:inspector")
    assert client.get(address).status_code == 302

    client.force_login(staff)

    assert client.get(address).status_code == 200


def test_the_inspector_needs_no_template_or_file_of_the_project(client, staff, settings):
    """A project without this one's templates and boards has the same page."""
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": []}]
    client.force_login(staff)

    response = client.get("/realtime/inspector/")

    assert response.status_code == 200
    files = re.findall(r'(?:href|src)="/static/([^"]+)"', response.content.decode())
    assert {"realtime/live.min.js", "realtime/inspector/inspector.js"} <= {*files}
    assert all(name.startswith("realtime/") and finders.find(name) for name in files)


def test_topics_that_have_rows_are_suggested(log, quay, safe):
    """A feed without a topic field has one topic; others have one per key."""
    topics = views.suggested_topics()

    assert {f"entries.{quay.pk}", f"entries.{safe.pk}", "boards"} <= set(topics)
    assert f"entries.{safe.pk + 1}" not in topics


@pytest.mark.parametrize("limit", [1, 2])
def test_the_number_of_suggested_topics_is_limited(log, monkeypatch, limit):
    """A feed may have millions of keys."""
    monkeypatch.setattr(views, "MAX_SUGGESTED_KEYS", limit)
    for number in range(3):
        board = Board.objects.create(slug=f"board-{number}", title="A board")
        board.entries.create(label="row")

    entries = [topic for topic in views.suggested_topics() if topic.startswith("entries.")]

    assert len(entries) == limit
