"""The inspector: the protocol by hand, in a page of the app."""

from playwright.sync_api import expect


def test_the_inspector_shows_messages_in_both_directions(windows):
    """Staff connect, subscribe, send invalid text, and see the answers and why the connection closed."""
    page = windows().sign_in().page
    page.goto("/realtime/inspector/")
    types = page.locator(".inspector-type")

    page.get_by_role("button", name="Connect", exact=True).click()
    expect(types.get_by_text("welcome")).to_be_visible()
    page.get_by_label("Name").fill("entries.3")
    page.get_by_role("button", name="Subscribe", exact=True).click()
    expect(types.get_by_text("snapshot")).to_be_visible()
    page.locator("textarea").fill("nonsense")
    page.get_by_role("button", name="Send").click()
    expect(types.get_by_text("error")).to_be_visible()
    page.get_by_role("button", name="Disconnect", exact=True).click()
    expect(page.get_by_text("normal end")).to_be_visible()


def test_the_inspector_is_for_staff(windows):
    """Others are redirected to the sign-in page."""
    stranger = windows()

    stranger.page.goto("/realtime/inspector/")

    assert "/admin/login/" in stranger.page.url
