"""Viewers write and react, an editor approves: every window follows, and one without scripts may do the same."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.windows import DEPARTURES, Window
from tests.support import servers
from tests.support.servers import Project, Server


@pytest.fixture(scope="module")
def server(prepared: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of this file, on which viewers may do everything on the departures."""
    project = servers.copy(prepared, tmp_path_factory.mktemp("voices") / "project", HEARTBEAT_SECONDS="2")
    database = project.connect()
    database.execute(
        "UPDATE boards_board SET takes_messages = 1, reactions = 'thumb heart', shows_viewers = 1"
        " WHERE slug = 'departures'"
    )
    database.commit()
    database.close()
    with servers.running(project) as server:
        yield server


def heart(window: Window, key: str) -> Locator:
    return window.entry(key).get_by_role("button", name="Heart")


def test_messages_are_approved_and_follow(windows: Callable[..., Window]) -> None:
    """Markup is shown as text; a refused message stays in its field."""
    viewer, other = windows(), windows()
    viewer.open(DEPARTURES)
    other.open(DEPARTURES)
    editor = windows().sign_in().open(DEPARTURES)
    text = "<b>Is the 09:20 running?</b>"

    viewer.page.get_by_role("textbox", name="Message").fill(text)
    viewer.page.get_by_label("Name (optional)").fill("Ada")
    viewer.page.get_by_role("button", name="Send").click()
    expect(viewer.page.locator(".voices-form output")).to_contain_text("approved")
    expect(viewer.page.get_by_role("textbox", name="Message")).to_have_value("")
    waiting = editor.page.locator(".message", has_text=text)
    expect(waiting).to_contain_text("Waiting")
    assert other.page.locator(".message", has_text=text).count() == 0

    waiting.get_by_role("button", name="Show").click()
    for window in (viewer, other):
        expect(window.page.locator(".message", has_text=text)).to_contain_text("Ada")
    editor.page.locator(".message", has_text=text).get_by_role("button", name="Hide").click()
    for window in (viewer, other):
        expect(window.page.locator(".message", has_text=text)).to_have_count(0)
    assert viewer.was_never_reloaded()
    assert editor.was_never_reloaded()

    expect(viewer.page.locator("#viewers live-viewers")).to_have_text("3")


def test_reactions_are_counted_in_the_rows(windows: Callable[..., Window]) -> None:
    """Once for each browser; a second press takes it back. A row that changes keeps its buttons."""
    one, two = windows().open(DEPARTURES), windows().open(DEPARTURES)
    key = one.keys[0]

    heart(one, key).click()
    for window in (one, two):
        expect(heart(window, key)).to_contain_text("1")
    expect(heart(one, key)).to_have_attribute("aria-pressed", "true")
    expect(heart(two, key)).to_have_attribute("aria-pressed", "false")
    heart(two, key).click()
    for window in (one, two):
        expect(heart(window, key)).to_contain_text("2")
    heart(one, key).click()
    for window in (one, two):
        expect(heart(window, key)).to_contain_text("1")

    one.page.reload()
    expect(heart(one, key)).to_have_attribute("aria-pressed", "false")
    two.page.reload()
    expect(heart(two, key)).to_have_attribute("aria-pressed", "true")


def test_a_viewer_without_scripts_writes_and_reacts(windows: Callable[..., Window], server: Server) -> None:
    page = windows(java_script_enabled=False).page
    page.goto(DEPARTURES)

    page.get_by_role("textbox", name="Message").fill("Without scripts")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".notice", has_text="Thank you")).to_be_visible()

    page.get_by_text("React", exact=True).click()
    thumb = page.get_by_role("button", name="Thumbs up: Port Ellery")
    thumb.click()
    page.get_by_text("React", exact=True).click()
    expect(thumb).to_have_attribute("aria-pressed", "true")
    expect(thumb).to_contain_text("1")
    database = server.project.connect()
    assert database.execute("SELECT state FROM boards_message WHERE text = 'Without scripts'").fetchall() == [
        ("waiting",)
    ]
    database.close()
