"""``<live-status>``: the badge."""

from playwright.sync_api import Page, expect


def test_the_badge_shows_the_state_of_the_connection(page: Page) -> None:
    page.evaluate("document.body.append(document.createElement('live-status'))")
    badge = page.locator("live-status")

    def shows(state: str, text: str) -> None:
        expect(badge).to_have_attribute("data-state", state)
        expect(badge.get_by_role("status")).to_have_text(text)

    shows("connecting", "connecting")
    page.evaluate("connect()")
    shows("live", "live")
    page.evaluate("server().drops()")
    shows("reconnecting", "reconnecting as of 01:16")
    page.evaluate("() => { clock.advance(1000); server().accepts(); }")
    page.evaluate("() => { target.navigator.onLine = false; fire('offline'); }")
    shows("offline", "offline as of 01:16")
    # A server on the same machine answers although the browser is offline.
    page.evaluate("server().sends(heartbeat())")
    shows("live", "live")
    page.evaluate("server().drops()")
    shows("offline", "offline as of 01:16")
    page.evaluate("() => { target.navigator.onLine = true; fire('online'); }")
    shows("reconnecting", "reconnecting as of 01:16")
    page.evaluate("() => { clock.advance(300); server().accepts().drops(4403, 'forbidden'); }")
    shows("stopped", "stopped: forbidden as of 01:16")
    page.evaluate("() => { clock.advance(7000); paint([tr('a')]); }")
    badge.hover()
    assert "last message 7 s ago" in badge.get_attribute("title")
    assert "t at e.10" in badge.get_attribute("title")
