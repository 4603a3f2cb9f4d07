"""Boards are imported, embedded and shared by secret links, in Chromium."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Route, expect

from tests.browser.windows import DEPARTURES, ROWS, Window
from tests.support import servers
from tests.support.servers import Project, Server

PRIVATE = "/boards/roster/"


@pytest.fixture(scope="module")
def server(prepared: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of this file."""
    project = servers.copy(prepared, tmp_path_factory.mktemp("sharing") / "project", HEARTBEAT_SECONDS="2")
    with servers.running(project) as server:
        yield server


@pytest.fixture
def editor(windows: Callable[..., Window]) -> Window:
    return windows().sign_in()


class OtherSite(BaseHTTPRequestHandler):
    """A page with the frame that ``OtherSite.frame`` names."""

    frame = ""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(f"<!doctype html><link rel=icon href=data:,>{self.frame}".encode())

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def other_site() -> Iterator[str]:
    """The origin of another site."""
    with ThreadingHTTPServer(("127.0.0.1", 0), OtherSite) as site:
        thread = threading.Thread(target=site.serve_forever, daemon=True)
        thread.start()
        yield f"http://localhost:{site.server_port}"
        site.shutdown()
        thread.join()


def add_row(editor: Window, label: str) -> None:
    """Add an entry to the departures by an import: four actions, from the board to the board."""
    page = editor.page
    page.goto(DEPARTURES)
    page.click("text=Import and export")
    page.fill("textarea", f"Name\tValue\tStatus\n{label}\t23:59\tOK")
    page.click("text=Preview")
    page.click("text=Import: 1 new")
    expect(page.locator("text=Imported: 1 new")).to_be_visible()


def test_a_pasted_table_is_imported_and_seen_by_everyone(windows, editor):
    """In four actions; another page shows it without being loaded again."""
    viewer = windows().open(DEPARTURES)

    add_row(editor, "Far Island")

    expect(viewer.row("Far Island")).to_contain_text("23:59")
    assert viewer.was_never_reloaded()


def test_a_board_in_a_frame_of_another_site_is_live(windows, editor, server, other_site):
    """If the board names the site; otherwise the browser shows nothing of it."""
    page = editor.page
    page.goto(f"{DEPARTURES}share/")
    OtherSite.frame = page.locator("[aria-label='Element for the page']").input_value()
    assert "http" in OtherSite.frame
    viewer = windows()
    viewer.page.goto(other_site)
    expect(viewer.page.locator("iframe")).to_be_visible()
    viewer.page.wait_for_function("() => window.frames.length === 1")
    assert viewer.page.frame_locator("iframe").locator(ROWS).count() == 0

    page.fill("#sites_embed_origins", other_site)
    page.click("text=Save")
    expect(page.locator("text=Saved.")).to_be_visible()
    viewer.page.goto(other_site)
    frame = viewer.page.frame_locator("iframe")
    expect(frame.locator("live-status")).to_have_attribute("data-state", "live")
    add_row(editor, "Framed Island")

    expect(frame.locator(ROWS, has_text="Framed Island")).to_have_count(1)
    viewer.errors[:] = [error for error in viewer.errors if "frame-ancestors 'none'" not in error]


def test_a_second_click_makes_no_second_link(editor):
    """The server has received the first request; its answer is held until the second click has been made."""
    page = editor.page
    # To Chromium, a page after an answer of the test's own is not one of this machine.
    page.context.grant_permissions(["local-network-access"])
    page.goto(f"{DEPARTURES}share/")
    held = []

    def hold(route: Route) -> None:
        held.append((route, route.fetch(max_redirects=0)))

    page.route("**/share/links/", hold)
    page.fill("#link_name", "Once only")
    button = page.locator("text=Make a link").bounding_box()
    middle = button["x"] + button["width"] / 2, button["y"] + button["height"] / 2
    page.mouse.click(*middle)
    while not held:
        page.wait_for_timeout(20)
    page.mouse.click(*middle)
    route, answer = held[0]
    route.fulfill(response=answer)
    page.unroute("**/share/links/")

    expect(page.locator("[aria-label='Secret link']")).to_be_visible()
    expect(page.locator(".tool-row bdi", has_text="Once only")).to_have_count(1)


def test_a_secret_link_opens_a_private_board_until_it_is_revoked(windows, editor):
    """The secret leaves the address; when the link is revoked the open page loses its rows at once."""
    page = editor.page
    page.goto(f"{PRIVATE}share/")
    page.fill("#link_name", "Lobby")
    page.click("text=Make a link")
    link = page.locator("[aria-label='Secret link']").input_value()
    guest = windows()
    requested: list[str] = []
    guest.page.on("request", lambda request: requested.append(f"{request.url} {request.headers}"))

    guest.page.goto(link)
    expect(guest.page.locator("live-status")).to_have_attribute("data-state", "live")
    expect(guest.page.locator(ROWS).first).to_be_visible()
    assert guest.page.url.endswith(PRIVATE)
    secret = link.partition("#")[2]
    assert len(secret) >= 43
    assert not [request for request in requested if secret in request]

    page.goto(f"{PRIVATE}share/")
    page.click(".tool-row button")
    expect(page.locator("text=no longer leads to this board")).to_be_visible()
    expect(guest.page.locator(ROWS)).to_have_count(0)
    expect(guest.page.locator("live-status")).not_to_have_attribute("data-state", "live")
