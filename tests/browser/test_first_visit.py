"""The costs of a first visit where static files are collected: requests, bytes, and no movement of the page."""

from collections import Counter
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, WebSocket, expect

from tests.browser.visits import collected, visit
from tests.browser.windows import DEPARTURES, Window
from tests.support import servers
from tests.support.servers import Server


@pytest.fixture(scope="module")
def site(prepared, tmp_path_factory) -> Iterator[Server]:
    with collected(servers.copy(prepared, tmp_path_factory.mktemp("collected"))) as server:
        yield server


@pytest.mark.parametrize("width", [360, 1280])
def test_a_first_visit_is_few_requests_and_few_bytes(browser: Browser, site: Server, width: int) -> None:
    """The page, its style, script, picture (also its icon) and socket; nothing moves when the badge appears."""
    window = Window(browser, site, viewport={"width": width, "height": 900})

    seen = visit(window.page, DEPARTURES)

    assert seen.sockets == 1
    assert seen.requests <= 6, seen.addresses
    assert seen.bytes < 35_000, seen.received
    assert seen.shift < 0.01
    assert window.errors == []
    window.context.close()


def test_a_first_visit_connects_before_its_client_is_loaded(browser: Browser, site: Server) -> None:
    """Its socket's address names the topics of the page; the page client uses it, and asks for nothing more."""
    window = Window(browser, site)
    page = window.page
    held, sockets, sent = [], [], []

    def connected(socket: WebSocket) -> None:
        sockets.append(socket.url)
        socket.on("framesent", lambda text: sent.append(text))

    page.on("websocket", connected)
    page.route("**/live.min*.js", lambda route: held.append(route))
    page.goto(DEPARTURES, wait_until="commit")
    page.wait_for_function(
        "() => window.realtimeEarly?.received.length >= 4"
    )  # the greeting, and three topics

    assert len(held) == 1
    held[0].continue_()
    expect(page.locator("live-status")).to_have_attribute("data-state", "live")

    (address,) = sockets
    assert [name for name in ("entries.1", "board.1", "notices.1") if f"topic={name}&" not in address] == []
    assert [text for text in sent if "subscribe" in text] == []
    assert window.errors == []
    window.context.close()


def test_a_second_visit_asks_for_no_file(browser: Browser, site: Server) -> None:
    """All of them are compressed, and have a name that browsers keep for good."""
    window = Window(browser, site)

    first = visit(window.page, DEPARTURES)
    second = visit(window.page, "/")

    files = [address for address in first.addresses if "/static/" in address]
    assert len({*files}) >= 3
    assert {first.headers[file].get("content-encoding") for file in files} == {"gzip"}
    assert all("immutable" in first.headers[file]["cache-control"] for file in files)
    assert [path for path, count in second.received.items() if count and "/static/" in path] == []
    window.context.close()


def test_modules_are_preloaded_under_the_addresses_that_are_imported(browser: Browser, site: Server) -> None:
    """The inspector has modules of its own: each is requested once, without waiting for the one that imports it."""
    window = Window(browser, site).sign_in()

    seen = visit(window.page, "/realtime/inspector/")

    modules = Counter(address for address in seen.addresses if address.endswith(".js"))
    assert [*modules.values()] == [1, 1, 1, 1], modules
    preloaded = window.page.eval_on_selector_all(
        "link[rel=modulepreload]", "links => links.map(({ href }) => href)"
    )
    assert len(preloaded) == 3
    assert {*preloaded} <= {*modules}
    expect(window.page.locator(".inspector-state")).to_have_text("closed")
    assert window.errors == []
    window.context.close()
