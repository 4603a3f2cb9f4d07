"""A page whose WebSockets do not get through is live all the same, and goes back to them when they do."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.proxy import Proxy
from tests.support.servers import Server

UPGRADE = "Upgrade: websocket"
STREAM = "GET /realtime/sse/"


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    proxy = Proxy(server.port)
    yield proxy
    proxy.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def becomes_live(page: Page, transport: str, seconds: float = 5) -> None:
    expect(page.locator("live-status")).to_have_attribute("data-state", "live", timeout=1000 * seconds)
    expect(page.locator("live-status")).to_have_attribute("data-transport", transport)
    expect(page.locator("live-topic").first).to_have_attribute("state", "live")


def shows_an_edit(page: Page, server: Server, words: str) -> None:
    server.project.connect().execute("UPDATE boards_entry SET label = ? WHERE id = 1", [words])
    expect(page.get_by_text(words)).to_be_visible()


@pytest.mark.parametrize("how", ["refused", "swallowed"])
def test_where_no_upgrade_gets_through_a_page_is_live_by_events(server, proxy, page, how):
    """Within five seconds, whether the proxy says no or says nothing."""
    setattr(proxy, how, (UPGRADE,))
    page.goto(f"{proxy.url}/boards/departures/")

    becomes_live(page, "sse")
    expect(page.locator("live-status")).to_have_text("live (SSE)")
    shows_an_edit(page, server, f"by events, {how}")


def test_where_no_events_get_through_either_a_page_polls(server, proxy, page):
    """Swallowed streams are how proxies look that collect a whole answer before they hand it on."""
    proxy.refused, proxy.swallowed = (UPGRADE,), (STREAM,)
    page.goto(f"{proxy.url}/boards/departures/")

    becomes_live(page, "poll", seconds=10)
    expect(page.locator("live-status")).to_have_text("live (polling)")
    shows_an_edit(page, server, "by polling")


def test_the_next_page_begins_with_what_got_through(server, proxy, page):
    """And does not wait for what did not."""
    proxy.swallowed = (UPGRADE,)
    page.goto(f"{proxy.url}/boards/departures/")
    becomes_live(page, "sse")

    page.reload()

    becomes_live(page, "sse", seconds=2)


def test_a_page_goes_back_to_websockets_when_they_get_through(server, proxy, page):
    """When the browser says that the network has changed, without a gap in what it shows."""
    proxy.refused = (UPGRADE,)
    page.goto(f"{proxy.url}/boards/departures/")
    becomes_live(page, "sse")

    proxy.refused = ()
    page.evaluate("dispatchEvent(new Event('online'))")

    becomes_live(page, "websocket")
    shows_an_edit(page, server, "by a socket again")


@pytest.mark.parametrize("refused", [(UPGRADE,), (UPGRADE, STREAM)], ids=["sse", "poll"])
def test_scripts_can_call_and_follow_by_any_way(server, proxy, page, refused):
    """A call is answered; a topic that the page did not have is followed; one that it may not have is refused."""
    proxy.refused = refused
    page.goto(f"{proxy.url}/boards/departures/")
    becomes_live(page, {1: "sse", 2: "poll"}[len(refused)])

    assert page.evaluate("realtime.call('echo', {text: 'hi'})") == {"text": "hi"}
    refusal = "realtime.call('echo', {}).catch((error) => [error.code, Object.keys(error.fields)])"
    assert page.evaluate(refusal) == [4400, ["text"]]
    count = """(topic) => new Promise((resolve) => {
        const followed = realtime.subscribe(topic, {
            onSnapshot: () => resolve(followed.rows.size), onError: ({ code }) => resolve(code) });
    })"""
    assert page.evaluate(count, "boards") == 2
    assert page.evaluate(count, "staffboards") == 4403
    shows_an_edit(page, server, "after all that")
    assert page.evaluate("realtime.status.state") == "live"


def test_a_server_that_restarts_is_no_reason_to_change_the_way(server, page):
    """A page that was live by a WebSocket comes back by one."""
    page.goto(f"{server.url}/boards/departures/")
    becomes_live(page, "websocket")

    server.stop()
    server.start()

    becomes_live(page, "websocket", seconds=15)
    shows_an_edit(page, server, "after the restart")
