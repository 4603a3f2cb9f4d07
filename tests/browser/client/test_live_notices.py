"""``<live-notices>``: notices of the server."""

from playwright.sync_api import Page, expect


def test_notices_appear_newest_first_and_can_be_dismissed(page: Page) -> None:
    page.evaluate("""() => {
        document.body.append(document.createElement("live-notices"));
        connect();
        for (let n = 1; n <= 7; n++) server().sends({ type: "notice", text: `<i>${n}</i>` });
    }""")

    notices = page.get_by_role("status").locator("p")
    expect(notices).to_have_text([f"<i>{n}</i>" for n in (7, 6, 5, 4, 3)])
    page.get_by_role("button", name="Dismiss").first.click()
    expect(notices.first).to_have_text("<i>6</i>")
