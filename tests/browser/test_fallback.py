"""A page whose WebSockets are blocked is live by another transport, and returns to WebSocket when it works again."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.proxy import STREAM, UPGRADE
from tests.support.servers import Server


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def becomes_live(page: Page, transport: str) -> None:
    expect(page.locator("live-status")).to_have_attribute("data-state", "live")
    expect(page.locator("live-status")).to_have_attribute("data-transport", transport)
    expect(page.locator("live-topic").first).to_have_attribute("state", "live")


def shows_an_edit(page: Page, server: Server, label: str) -> None:
    server.project.connect().execute("UPDATE boards_entry SET label = ? WHERE id = 1", [label])
    expect(page.get_by_text(label)).to_be_visible()


@pytest.mark.parametrize("how", ["refused", "swallowed"])
def test_a_page_is_live_by_server_sent_events_if_websockets_are_blocked(server, proxy, page, how):
    """Within five seconds, whether the proxy refuses the handshake or does not answer it."""
    setattr(proxy, how, (UPGRADE,))
    page.goto(f"{proxy.url}/boards/departures/")

    becomes_live(page, "sse")
    expect(page.locator("live-status")).to_have_text("live (SSE)")
    shows_an_edit(page, server, f"by events, {how}")


def test_a_page_polls_if_event_streams_are_blocked_too(server, proxy, page):
    """A swallowed stream stands for a proxy that buffers a whole response before it forwards it."""
    proxy.refused, proxy.swallowed = (UPGRADE,), (STREAM,)
    page.goto(f"{proxy.url}/boards/departures/")

    becomes_live(page, "poll")
    expect(page.locator("live-status")).to_have_text("live (polling)")
    shows_an_edit(page, server, "by polling")


def test_the_next_page_begins_with_the_transport_that_worked(server, proxy, page):
    """It does not wait for the one that did not."""
    proxy.swallowed = (UPGRADE,)
    page.goto(f"{proxy.url}/boards/departures/")
    becomes_live(page, "sse")

    proxy.heads.clear()
    page.reload()
    becomes_live(page, "sse")

    assert not [head for head in proxy.heads if UPGRADE in head]


def test_a_page_returns_to_websocket_when_it_works_again(server, proxy, page):
    """When the browser reports that the network has changed, without a gap in what it shows."""
    proxy.refused = (UPGRADE,)
    page.goto(f"{proxy.url}/boards/departures/")
    becomes_live(page, "sse")

    proxy.refused = ()
    page.evaluate("dispatchEvent(new Event('online'))")

    becomes_live(page, "websocket")
    shows_an_edit(page, server, "by WebSocket again")


@pytest.mark.parametrize("refused", [(UPGRADE,), (UPGRADE, STREAM)], ids=["sse", "poll"])
def test_scripts_can_call_and_subscribe_by_any_transport(server, proxy, page, refused):
    """A call is answered; a new topic is followed; a topic without permission is refused."""
    proxy.refused = refused
    page.goto(f"{proxy.url}/boards/departures/")
    becomes_live(page, {1: "sse", 2: "poll"}[len(refused)])

    assert page.evaluate("realtime.call('echo', {text: 'hi'})") == {"text": "hi"}
    refusal = "realtime.call('echo', {}).catch((error) => [error.code, Object.keys(error.fields)])"
    assert page.evaluate(refusal) == [4400, ["text"]]
    count = """(topic) => new Promise((resolve) => {
        const followed = realtime.subscribe(topic, {
            onSnapshot: () => resolve(followed.rows.size),
            onError: ({ code }) => { resolve(code); followed.unsubscribe(); } });
    })"""
    assert page.evaluate(count, "boards") == 2
    assert page.evaluate(count, "staffboards") == 4403
    shows_an_edit(page, server, "after all that")
    assert page.evaluate("realtime.status.state") == "live"


def test_a_page_keeps_its_transport_when_the_server_restarts(server, page):
    """A page that was live by WebSocket reconnects by WebSocket."""
    page.goto(f"{server.url}/boards/departures/")
    becomes_live(page, "websocket")

    server.stop()
    server.start()

    becomes_live(page, "websocket")
    shows_an_edit(page, server, "after the restart")
