"""A site that a proxy publishes below a path, ``SCRIPT_NAME=/tide``, whether the proxy removes the path or not."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.proxy import Proxy
from tests.browser.windows import PATIENCE_MS
from tests.support import servers
from tests.support.servers import Project, Server

UPGRADE = "Upgrade: websocket"
WALL = "/tide/boards/departures/wall/"
LIVE = "html[data-state='live']"


@pytest.fixture(scope="module")
def server(prepared: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of this file."""
    folder = tmp_path_factory.mktemp("below") / "project"
    project = servers.copy(prepared, folder, HEARTBEAT_SECONDS="2", RECHECK_SECONDS="1", SCRIPT_NAME="/tide")
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
    page.set_default_timeout(PATIENCE_MS)
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


def test_a_wall_is_kept_below_the_path(proxy, page):
    """Its worker has the address of this wall, and shows the copy while the proxy reaches no server."""
    page.goto(f"{proxy.url}{WALL}")
    page.evaluate("navigator.serviceWorker.ready")
    page.wait_for_function("() => navigator.serviceWorker.controller")
    page.reload()
    expect(page.locator(LIVE)).to_have_count(1)

    scopes = page.evaluate(
        "navigator.serviceWorker.getRegistrations().then((all) => all.map(({ scope }) => new URL(scope).pathname))"
    )
    assert scopes == [WALL]
    page.wait_for_function("async () => await (await caches.open('boards-walls')).match(location.href)")
    proxy.swallowed = ("GET ",)  # the requests of the worker; those of the page end at once
    page.context.set_offline(True)
    page.reload()

    expect(page.locator("html[data-kept]")).to_have_count(1)
    expect(page.locator(".entry").first).to_be_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('.entry')).display") == "flex"


def test_a_screen_is_run_below_the_path(proxy, page, server):
    """It keeps its token for its own page, follows its orders and loads that page again."""
    page.goto(f"{proxy.url}/tide/screen/")
    expect(page.locator(LIVE)).to_have_count(1)
    code = "".join(page.locator(".screen-code span").all_text_contents())
    (cookie,) = [each for each in page.context.cookies() if each["name"] == "screen"]
    assert cookie["path"] == "/tide/screen/"

    database = server.project.connect()
    database.execute(
        "UPDATE boards_screen SET name = 'Hall', board_id = 1, code = NULL WHERE code = ?", [code]
    )

    expect(page.locator("h1")).to_have_text("Departures")
    expect(page.locator(LIVE)).to_have_count(1)
    assert page.url == f"{proxy.url}/tide/screen/"
    database.execute("DELETE FROM boards_screen WHERE name = 'Hall'")
    expect(page.locator(".screen-code")).to_be_visible()
