"""``<live-digest>``: what screen readers are told of changes, and how seldom."""

import pytest
from playwright.sync_api import Locator, Page, expect


@pytest.fixture
def digest(page: Page) -> Locator:
    """The element, on a page with a row "a" whose clock the test has."""
    page.clock.install()
    page.evaluate("""() => {
        document.body.append(document.createElement("live-digest"));
        paint([tr("a")]); connect();
        window.position = 10;
        window.change = (...keys) => server().sends(
            changes(position, ++position, keys.map((key) => upsert(html(key, "0", String(position))))));
    }""")
    return page.locator("live-digest")


def test_many_changes_are_one_sentence(page: Page, digest: Locator) -> None:
    """Each row is counted once, however often it has changed."""
    page.evaluate("() => { change('a'); change('a', 'b'); change('c'); }")
    expect(digest).to_have_text("")

    page.clock.run_for(5_000)

    expect(digest).to_have_role("status")
    expect(digest).to_have_text("3 rows changed")


def test_a_busy_page_says_less_and_less(page: Page, digest: Locator) -> None:
    """A dozen sentences in ten minutes with five changes a second. A quiet page announces the next change soon."""
    page.evaluate("""() => {
        window.said = 0;
        new MutationObserver(() => { said += 1; }).observe(document.querySelector("live-digest"), { childList: true });
        window.changing = setInterval(() => change("a"), 200);
    }""")
    page.clock.run_for(600_000)
    assert 8 <= page.evaluate("said") <= 13
    expect(digest).to_have_text("1 row changed")

    page.evaluate("() => clearInterval(changing)")
    page.clock.run_for(180_000)
    before = page.evaluate("said")
    page.evaluate("() => change('a', 'b')")
    page.clock.run_for(5_000)

    expect(digest).to_have_text("2 rows changed")
    assert page.evaluate("said") == before + 1


def test_changes_that_are_hidden_or_announce_themselves_are_not_counted(page: Page, digest: Locator) -> None:
    page.evaluate("""() => {
        document.querySelector("live-topic").setAttribute("role", "status");
        change("a");
    }""")

    page.clock.run_for(10_000)

    expect(digest).to_have_text("")
