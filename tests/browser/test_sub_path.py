"""A site that a proxy publishes below a path, ``SCRIPT_NAME=/tide``, whether the proxy removes the path or not."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.proxy import Proxy
from tests.support import servers
from tests.support.servers import Project, Server

UPGRADE = "Upgrade: websocket"


@pytest.fixture
def server(project: Project) -> Iterator[Server]:
    project.environment["SCRIPT_NAME"] = "/tide"
    with servers.running(project) as server:
        yield server


@pytest.fixture(params=["", "/tide"], ids=["kept", "removed"])
def proxy(request: pytest.FixtureRequest, server: Server) -> Iterator[Proxy]:
    proxy = Proxy(server.port)
    proxy.removed_prefix = request.param
    yield proxy
    proxy.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    page = context.new_page()
    failed: list[str] = []
    page.on("response", lambda response: failed.append(response.url) if response.status >= 400 else None)
    yield page
    assert failed == []
    context.close()


def test_pages_files_links_and_changes_are_below_the_path(proxy, page, server):
    """The page is live, and what it links and loads exists."""
    page.goto(f"{proxy.url}/tide/")
    page.locator(".card-title").first.click()

    expect(page.locator("live-status")).to_have_attribute("data-state", "live")
    expect(page.locator("live-status")).to_have_attribute("data-transport", "websocket")
    assert "/tide/boards/" in page.url
    server.project.connect().execute("UPDATE boards_entry SET label = 'by socket' WHERE id = 1")
    expect(page.get_by_text("by socket")).to_be_visible()


def test_other_transports_are_below_the_path(proxy, page, server):
    """Streams go where sockets go."""
    proxy.swallowed = (UPGRADE,)
    page.goto(f"{proxy.url}/tide/boards/departures/")

    expect(page.locator("live-status")).to_have_attribute("data-transport", "sse")
    server.project.connect().execute("UPDATE boards_entry SET label = 'by stream' WHERE id = 1")
    expect(page.get_by_text("by stream")).to_be_visible()


def test_signing_in_returns_below_the_path(proxy, page):
    """Redirects of the admin keep the prefix too."""
    page.goto(f"{proxy.url}/tide/admin/")

    assert page.url == f"{proxy.url}/tide/admin/login/?next=/tide/admin/"
