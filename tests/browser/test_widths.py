"""No page is wider than its window, in either language; what is wider scrolls by itself."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.windows import DEPARTURES, Window
from tests.support.servers import Server

PAGES = [
    "/",
    "/new-board/",
    DEPARTURES,
    f"{DEPARTURES}history/",
    f"{DEPARTURES}import/",
    f"{DEPARTURES}share/",
    "/screen/",
    "/admin/boards/board/1/change/",
    "/admin/boards/entry/",
    "/admin/boards/entry/1/change/",
    "/admin/boards/notice/add/",
    "/admin/boards/screen/",
]


@pytest.mark.parametrize(("width", "locale"), [(360, "en"), (768, "de"), (1280, "en")])
def test_no_page_is_wider_than_its_window(
    windows: Callable[..., Window], server: Server, width: int, locale: str
) -> None:
    """With reactions in the rows, which on a phone have a line of their own; also while a board is edited."""
    database = server.project.connect()
    database.execute("UPDATE boards_board SET takes_messages = 1, reactions = 'thumb heart party eyes'")
    database.commit()
    database.close()
    window = windows(viewport={"width": width, "height": 800}, locale=locale).sign_in()
    page = window.page

    def surplus() -> int:
        found: int = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        return found

    wide = {}
    for path in PAGES:
        page.goto(path)
        if surplus() > 0:
            wide[path] = surplus()
    assert wide == {}

    page.goto(DEPARTURES)
    page.locator("[data-edit-board]").click()
    expect(page.locator(".edit-stop").first).to_be_visible()
    note = page.locator("[data-key] .entry-note").first.bounding_box()
    assert surplus() <= 0
    assert note is not None
    assert note["width"] >= 150
