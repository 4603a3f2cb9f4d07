"""A board is closed while pages show it: nothing of what closes it is shown, and they return with it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, WebSocket, expect

from tests.browser.proxy import Proxy
from tests.browser.windows import DEPARTURES, ROWS
from tests.support.servers import PASSWORD, Server

PATIENCE = 60_000
UPGRADE = "Upgrade: websocket"
STREAM = "GET /realtime/sse/"
SECRET = "s3cret: strike on Monday"
WATCH = """
    window.seen = "";
    addEventListener("DOMContentLoaded", () => {
        const note = () => { window.seen += document.body.innerText; };
        new MutationObserver(note).observe(document.body, {subtree: true, childList: true, characterData: true});
        note();
    });
    Math.random = () => 0;
"""


@pytest.fixture
def contexts(browser: Browser) -> Iterator[list[BrowserContext]]:
    """Browsers of three people: two outsiders and an editor."""
    contexts = [browser.new_context() for _ in range(3)]
    for context in contexts:
        context.set_default_timeout(PATIENCE)
    yield contexts
    for context in contexts:
        context.close()


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    proxy = Proxy(server.port)
    yield proxy
    proxy.close()


def has_state(page: Page, state: str) -> None:
    expect(page.locator("live-status")).to_have_attribute("data-state", state, timeout=PATIENCE)


def sign_in(page: Page, server: Server) -> None:
    page.goto(server.url + "/admin/login/?next=/admin/boards/board/1/change/")
    page.fill("#id_username", "editor")
    page.fill("#id_password", PASSWORD)
    page.click("[type=submit]")


def save_board(page: Page, server: Server, *, is_public: bool, note: str) -> None:
    """Save board and entry in one form, and so in one transaction."""
    page.goto(server.url + "/admin/boards/board/1/change/")
    page.set_checked("#id_is_public", is_public)
    page.fill("#id_entries-0-note", note)
    page.click("[name=_continue]")
    expect(page.locator(".messagelist .success")).to_be_visible(timeout=PATIENCE)


@pytest.mark.parametrize("fallback", ["sse", "poll"])
def test_pages_of_a_board_that_is_closed_show_nothing_and_return_with_it(
    server: Server, proxy: Proxy, contexts: list[BrowserContext], fallback: str
) -> None:
    """One save closes the board and writes a secret into it; pages by each transport remove the rows at once."""
    proxy.refused = (UPGRADE,) if fallback == "sse" else (UPGRADE, STREAM)
    pages = [context.new_page() for context in contexts[:2]]
    frames: list[str] = []
    pages[0].on("websocket", lambda socket: socket.on("framereceived", lambda data: frames.append(str(data))))
    for page, url in zip(pages, (server.url, proxy.url), strict=True):
        page.add_init_script(WATCH)
        page.goto(url + DEPARTURES)
        has_state(page, "live")
    expect(pages[1].locator("live-status")).to_have_attribute("data-transport", fallback)
    editor = contexts[2].new_page()
    sign_in(editor, server)

    save_board(editor, server, is_public=False, note=SECRET)
    for page in pages:
        has_state(page, "refused")
        expect(page.locator("live-topic [data-key]")).to_have_count(0)

    save_board(editor, server, is_public=True, note="Open again")
    for page in pages:
        has_state(page, "live")
        expect(page.locator(ROWS).first).to_contain_text("Open again")
        assert SECRET not in page.evaluate("window.seen")
    assert SECRET not in str(frames)


def test_tabs_that_share_a_connection_show_nothing_of_what_closes_their_board(
    server: Server, contexts: list[BrowserContext]
) -> None:
    """One of two tabs owns the connection: neither it nor the other shows or receives the secret; both return."""
    tabs = [contexts[0].new_page() for _ in range(2)]
    frames: list[str] = []
    sockets: list[WebSocket] = []
    for tab in tabs:
        tab.on("websocket", lambda socket: sockets.append(socket))
        tab.on("websocket", lambda socket: socket.on("framereceived", lambda data: frames.append(str(data))))
        tab.add_init_script(WATCH)
        tab.goto(server.url + DEPARTURES)
        has_state(tab, "live")
    assert len(sockets) == 1
    editor = contexts[2].new_page()
    sign_in(editor, server)

    save_board(editor, server, is_public=False, note=SECRET)
    for tab in tabs:
        has_state(tab, "refused")
        expect(tab.locator("live-topic [data-key]")).to_have_count(0)

    save_board(editor, server, is_public=True, note="Open again")
    for tab in tabs:
        has_state(tab, "live")
        expect(tab.locator(ROWS).first).to_contain_text("Open again")
        assert SECRET not in tab.evaluate("window.seen")
    assert SECRET not in str(frames)
