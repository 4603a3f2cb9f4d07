"""Screens that wait for their code, and screens that an editor has paired."""

from collections import Counter

import pytest
from django.test import Client
from django.urls import reverse

from realtime.boards.models import Screen
from realtime.boards.screens import pairing
from realtime.publishing import interest


@pytest.fixture(autouse=True)
def no_wrong_codes(monkeypatch):
    """Each test begins with all its attempts, and gets none back while it runs."""
    monkeypatch.setattr(pairing, "wrong_codes", pairing.WrongCodes(lambda: 0.0))


@pytest.fixture
def open_screen(db):
    """Opens the page of a screen in a browser of its own; returns the browser and its screen."""

    def open_screen(**extra):
        browser = Client()
        response = browser.get(reverse("boards:screen"), **extra)
        token = browser.cookies[pairing.COOKIE].value
        assert response.status_code == 200
        return browser, Screen.objects.get(token_digest=pairing.digest(token))

    return open_screen


@pytest.fixture
def pair(editor_client):
    """Types a code at the desk."""

    def pair(code, **fields):
        values = {"name": "Pier 2", "seconds": "12", "dim_from": "", "dim_until": ""} | fields
        return editor_client.post(reverse("admin:boards_screen_add"), {"screen_code": code} | values)

    return pair


@pytest.fixture
def paired(open_screen, pair, board):
    """A browser and its screen, which shows the board."""
    browser, screen = open_screen()
    assert pair(screen.code, board=board.pk).status_code == 302
    screen.refresh_from_db()
    return browser, screen


@pytest.fixture
def viewers(monkeypatch):
    """How many connections follow each topic."""
    numbers: Counter[str] = Counter()
    monkeypatch.setattr(
        interest, "viewers", lambda topics: {topic: interest.Viewers(numbers[topic]) for topic in topics}
    )
    return numbers
