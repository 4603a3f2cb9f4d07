"""A test sees nothing of the test before on the page that both use."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.client.pages import Pages

LEFT = """() => [window.left, sessionStorage.left, localStorage.left, document.body.className]
    .map((each) => each ?? null)"""


@pytest.fixture
def own(browser: Browser) -> Iterator[Pages]:
    context = browser.new_context()
    yield Pages(context)
    context.close()


def test_a_page_is_used_again_with_another_document(own: Pages, site: str) -> None:
    page = own.open(f"{site}/fakes/page.html")
    page.evaluate("""() => {
        window.left = sessionStorage.left = localStorage.left = document.body.className = "left";
        console.error("left");
    }""")
    own.give_back(page, passed=True)

    again = own.open(f"{site}/fakes/page.html")

    assert again is page
    assert again.evaluate(LEFT) == [None, None, None, ""]
    assert own.errors == []


@pytest.mark.parametrize(
    "change",
    [
        lambda page: page.route("**/nothing", lambda route: route.abort()),
        lambda page: page.emulate_media(reduced_motion="reduce"),
        lambda page: page.clock.install(),
    ],
    ids=["route", "media", "clock"],
)
def test_a_page_with_something_that_lasts_is_not_used_again(
    own: Pages, site: str, change: Callable[[Page], None]
) -> None:
    page = own.open(f"{site}/fakes/page.html")
    change(page)
    own.give_back(page, passed=True)

    assert own.open(f"{site}/fakes/page.html") is not page
    assert page.is_closed()


def test_a_page_on_which_a_test_has_failed_is_not_used_again(own: Pages, site: str) -> None:
    page = own.open(f"{site}/fakes/page.html")
    own.give_back(page, passed=False)

    assert own.open(f"{site}/fakes/page.html") is not page
