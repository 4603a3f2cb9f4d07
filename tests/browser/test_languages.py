"""A German editor's pages: what an editor reads is German, and longer words fit a phone."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.windows import DEPARTURES

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
PICTURES = os.environ.get("PICTURES")
"""A folder for pictures of the pages, to look at."""


@pytest.fixture
def german(windows):
    """Opens windows of a browser that asks for German."""

    def german(width: int = 360, **options):
        viewport = {"width": width, "height": 800}
        return windows(locale="de-DE", viewport=viewport, **options).sign_in()

    return german


def picture(window, name: str) -> None:
    if PICTURES:
        window.page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)


def test_an_editor_edits_in_german(german):
    """The badge, the tools, and the question after two have changed the same value."""
    one, two = german(1280), german(1280)
    for window in (one, two):
        window.open(DEPARTURES)
        expect(window.page.locator("html")).to_have_attribute("lang", "de")
        window.page.get_by_role("link", name="Bearbeiten").click()
        expect(window.page.get_by_role("button", name="Fertig")).to_be_visible()
    key = one.keys[0]
    note = [window.entry(key).locator(".entry-note") for window in (one, two)]
    for cell in note:
        cell.click()
    one.page.keyboard.type("eins")
    two.page.keyboard.type("zwei")
    one.page.keyboard.press("Enter")
    expect(one.page.locator(".edit-status-line")).to_contain_text("gespeichert")

    expect(two.page.get_by_role("button", name="Meins behalten")).to_be_visible()
    picture(two, "conflict")
    two.page.get_by_role("button", name="Deren Wert nehmen").click()
    expect(note[1]).to_contain_text("eins")


def test_longer_words_fit_a_phone(german):
    window = german()
    board = DEPARTURES.rstrip("/")
    pages = {
        "index": "/", "board": f"{board}/", "history": f"{board}/history/", "import": f"{board}/import/",
        "share": f"{board}/share/", "new": "/new-board/", "link": "/link/", "screen": "/screen/",
        "lost": "/nowhere/",
    }  # fmt: skip
    wide = {}
    for name, address in pages.items():
        window.page.goto(address)
        expect(window.page.locator("html")).to_have_attribute("lang", "de")
        wide[name] = window.page.evaluate(OVERFLOW)
        picture(window, f"{name}-360")
    window.errors.clear()  # that of the page that does not exist

    assert {name: more for name, more in wide.items() if more > 0} == {}


def test_the_admin_and_the_page_of_operators_are_german(german, server):
    server.project.connect().execute("UPDATE auth_user SET is_superuser = 1 WHERE username = 'editor'")
    window = german(1280)

    window.page.goto("/admin/realtime/processreport/")
    expect(window.page.get_by_role("heading", name="Prozesse", exact=True)).to_be_visible()
    picture(window, "operators")
    window.page.goto("/admin/boards/entry/")
    expect(window.page.get_by_role("heading", name="Eintrag zur Änderung auswählen")).to_be_visible()
    expect(window.page.locator("th.column-value, th.column-label").first).to_contain_text("Bezeichnung")
    picture(window, "admin")
