"""Two browsers look at a page: each sees how many there are, and what the other types."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support import servers
from tests.support.projects import Project
from tests.support.servers import Server

LISTEN = """() => realtime.subscribe("entries.1", { onBroadcast: ({ event, payload, name }) => {
    const text = payload instanceof Uint8Array ? [...payload].join() : payload.text;
    document.querySelector("#typing").textContent = `${name || "somebody"} ${event} ${text}`;
} })"""


@pytest.fixture
def server(prepared: Project, tmp_path) -> Iterator[Server]:
    settings = {"DJANGO_SETTINGS_MODULE": "tests.apps.sociable.settings", "HEARTBEAT_SECONDS": "2"}
    with servers.running(servers.copy(prepared, tmp_path / "project", **settings)) as server:
        yield server


def open_page(browser: Browser, server: Server) -> Page:
    page = browser.new_context(base_url=server.url).new_page()
    page.goto("/sociable/")
    page.evaluate(LISTEN)
    return page


def test_two_browsers_see_each_other(browser: Browser, server: Server) -> None:
    """The number goes from one to two and back; what one types appears at the other, text as text."""
    one = open_page(browser, server)
    expect(one.locator("#number live-viewers")).to_have_text("1")
    expect(one.locator("#number live-viewers")).to_have_attribute("state", "live")

    other = open_page(browser, server)
    for page in (one, other):
        expect(page.locator("#number live-viewers")).to_have_text("2")
    one.evaluate("""realtime.broadcast("entries.1", "types", { text: "<b>hi</b>" })""")
    expect(other.locator("#typing")).to_have_text("somebody types <b>hi</b>")
    other.evaluate("""realtime.broadcast("entries.1", "draws", new Uint8Array([0, 128, 255]))""")
    expect(one.locator("#typing")).to_have_text("somebody draws 0,128,255")

    other.context.close()
    expect(one.locator("#number live-viewers")).to_have_text("1")
    one.context.close()
