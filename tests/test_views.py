"""The inspector, and the answers to errors; tests/runtime/test_metrics.py has the metrics."""

import re
import sqlite3
from collections.abc import Iterator

import pytest
from django.contrib.staticfiles import finders
from django.db import OperationalError, connection
from django.test import Client
from django.urls import reverse

from realtime import views
from realtime.boards.models import Board
from realtime.feeds import registry


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


# ---------------------------------------------------------------- errors

AWAY = OperationalError("unable to open database file")
AWAY.__cause__ = sqlite3.OperationalError("unable to open database file")
BROWSER = {"accept": "text/html,*/*"}


@pytest.fixture
def away(log) -> Iterator[None]:
    """A database that answers no query."""

    def fail(*_: object) -> object:
        raise AWAY

    with connection.execute_wrapper(fail):
        yield


@pytest.fixture
def visitor(client) -> Client:
    """A client that receives the answer to an error instead of the error."""
    client.raise_request_exception = False
    return client


def test_a_page_whose_topic_takes_too_long_is_answered_503(log, quay, visitor, settings):
    """With the time to try again."""
    settings.REALTIME |= {"READ_SECONDS": 1e-9}

    response = visitor.get(quay.get_absolute_url(), headers=BROWSER)

    assert response.status_code == 503
    seconds = response["Retry-After"]
    assert f'http-equiv="refresh" content="{seconds}"' in response.content.decode()
    assert f"tried again in {seconds} seconds" in response.content.decode()
    assert response["Cache-Control"] == "no-store"


def test_a_page_of_a_topic_that_renders_too_slowly_is_answered_503(log, quay, visitor, monkeypatch):
    """The time ends between two rows: no query is interrupted."""

    def slow(*_: object, **__: object) -> object:
        raise TimeoutError("reading topic entries.1 took more than 30 s")

    monkeypatch.setattr(type(registry["entries"]), "read_topic", slow)

    assert visitor.get(quay.get_absolute_url()).status_code == 503


@pytest.mark.parametrize(
    "path",
    [
        "/", "/boards/quay/", "/boards/quay/wall/", "/boards/quay/embed/", "/boards/quay/rows",
        "/boards/quay/export/csv/", "/boards/quay/feed/rss/", "/boards/quay/feed/json/", "/boards/quay/history/",
        "/boards/quay/charts/1/", "/boards/quay/charts/1.csv", "/boards/quay/qr.svg", "/boards/quay/share/",
        "/boards/quay/import/", "/new-board/", "/admin/", "/admin/boards/board/", "/admin/realtime/",
        "/realtime/inspector/", "/realtime/metrics/",
    ],
)  # fmt: skip
def test_every_address_is_answered_503_while_the_database_is_away(visitor, staff, away, settings, path):
    """Also where it is needed for the session alone; and a program gets words, too."""
    visitor.cookies[settings.SESSION_COOKIE_NAME] = "a" * 32

    page = visitor.get(path, headers=BROWSER)
    answer = visitor.get(path)

    assert {page.status_code, answer.status_code} == {503}
    assert "database" in page.content.decode()
    if "Retry-After" in answer:
        assert f"try again in {answer['Retry-After']} seconds" in answer.json()["error"]


def test_a_form_that_failed_is_not_sent_again_by_itself(visitor, quay, away):
    """It may have been carried out, and a page that loads itself again would ask the viewer whether to send it."""
    page = visitor.post(f"/boards/{quay.slug}/messages/", {"text": "x"}, headers=BROWSER)

    assert page.status_code == 503
    assert "http-equiv" not in page.content.decode()
    assert "Look whether it was" in page.content.decode()


def test_another_error_is_answered_500(log, quay, visitor, monkeypatch):
    """To try again would not help."""

    def wrong(*_: object, **__: object) -> object:
        raise ValueError("a mistake")

    monkeypatch.setattr(type(registry["entries"]), "read_topic", wrong)

    response = visitor.get(quay.get_absolute_url())

    assert response.status_code == 500
    assert "Retry-After" not in response


def test_a_project_without_pages_for_errors_has_one_for_outages(visitor, quay, away, settings):
    """In the language of the visitor."""
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": []}]

    page = visitor.get(quay.get_absolute_url(), headers=BROWSER | {"accept-language": "de"})

    assert page.status_code == 503
    assert "Zurzeit nicht verfügbar" in page.content.decode()
