"""All tabs of a browser share one connection, which outlives each of them."""

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.windows import PATIENCE_MS
from tests.support.servers import PASSWORD, Server

DEPARTURES = "/boards/departures/"


@pytest.fixture
def context(browser: Browser, server: Server) -> Iterator[BrowserContext]:
    context = browser.new_context(base_url=server.url)
    yield context
    context.close()


def open_tab(context: BrowserContext, path: str = DEPARTURES) -> Page:
    tab = context.new_page()
    tab.goto(path)
    is_live(tab)
    return tab


def is_live(tab: Page) -> None:
    expect(tab.locator("live-status")).to_have_attribute("data-state", "live")
    expect(tab.locator("live-status")).to_have_attribute("data-transport", "websocket")
    expect(tab.locator("live-topic").first).to_have_attribute("state", "live")


def settles_at(server: Server, connections: int) -> None:
    """Wait until the server has this number of open connections, by its log."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while True:
        log = server.log.read_text()
        is_open = len(re.findall(r" c\d+ open ", log)) - len(re.findall(r" c\d+ close ", log))
        if is_open == connections:
            return
        assert time.monotonic() < deadline, f"{is_open} connections:\n{log}"
        time.sleep(0.05)


def write(server: Server, label: str, key: int = 1) -> None:
    server.project.connect().execute("UPDATE boards_entry SET label = ? WHERE id = ?", [label, key])


def test_three_tabs_share_one_connection(server, context):
    """Also if they show two boards; each shows the changes of its own."""
    tabs = [open_tab(context), open_tab(context), open_tab(context, "/boards/server/")]

    write(server, "seen by both")

    settles_at(server, 1)
    for tab in tabs[:2]:
        expect(tab.get_by_text("seen by both")).to_be_visible()
    assert tabs[1].evaluate("realtime.call('echo', {text: 'hi'})") == {"text": "hi"}


def test_the_other_tabs_stay_live_when_the_owner_of_the_connection_is_closed(server, context):
    """Twice in a row; changes written meanwhile are not lost."""
    tabs = [open_tab(context) for _ in range(3)]

    for number in range(2):
        tabs.pop(0).close()
        write(server, f"written in between {number}")
        for tab in tabs:
            expect(tab.get_by_text(f"written in between {number}")).to_be_visible()
            is_live(tab)

    settles_at(server, 1)


def test_the_topics_of_a_closed_tab_are_unsubscribed(server, context):
    """The connection follows only topics that a tab shows."""
    stays, leaves = open_tab(context), open_tab(context, "/boards/server/")
    topic = leaves.locator("live-topic[topic^=entries]").get_attribute("topic")

    leaves.close()

    deadline = time.monotonic() + PATIENCE_MS / 1000
    while f"message unsubscribe '{topic}'" not in server.log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    write(server, "still here")
    expect(stays.get_by_text("still here")).to_be_visible()


def test_tabs_that_share_a_connection_resume_after_a_restart(server, context):
    """All reconnect, again by one connection, and show what was written while the server was stopped."""
    tabs = [open_tab(context) for _ in range(3)]

    server.stop()
    write(server, "written while stopped")
    tabs[0].wait_for_timeout(2500)  # until some attempts have failed
    server.start()

    for tab in tabs:
        expect(tab.get_by_text("written while stopped")).to_be_visible()
        is_live(tab)
    settles_at(server, 1)


def test_pages_of_two_sessions_share_nothing(server, context):
    """A page loaded after a sign-in does not use the connection of a page loaded before it."""
    before = open_tab(context)
    page = context.new_page()
    page.goto("/admin/")
    page.fill("#id_username", "editor")
    page.fill("#id_password", PASSWORD)
    page.click("[type=submit]")
    expect(page.locator("#user-tools")).to_be_visible()

    after = open_tab(context)

    settles_at(server, 2)
    write(server, "seen in both sessions")
    for tab in (before, after):
        expect(tab.get_by_text("seen in both sessions")).to_be_visible()


def test_a_tab_that_uses_another_format_of_a_topic_has_its_own_connection(server, context):
    """A script subscribes to the rows of a topic that another tab shows as HTML."""
    open_tab(context)
    other = open_tab(context, "/boards/server/")
    topic = "entries.1"

    row_count = other.evaluate(
        """(topic) => new Promise((resolve) => {
            const followed = realtime.subscribe(topic, { onSnapshot: () => resolve(followed.rows.size) });
        })""",
        topic,
    )

    assert row_count > 0
    settles_at(server, 2)


def test_without_web_locks_each_tab_has_its_own_connection(server, context):
    """In a browser that does not have them."""
    context.add_init_script("Object.defineProperty(navigator, 'locks', { value: undefined })")
    tabs = [open_tab(context), open_tab(context)]

    settles_at(server, 2)
    write(server, "seen by both")
    for tab in tabs:
        expect(tab.get_by_text("seen by both")).to_be_visible()


def test_a_tab_connects_by_itself_if_the_owner_does_not_answer(server, context):
    """A frozen tab keeps the lock; the others open connections of their own."""
    first = context.new_page()
    first.goto("/admin/login/")  # a page of the same origin without our script, which holds the lock
    second = open_tab(context)
    name = f"realtime {server.socket_url} "
    second.close()
    first.evaluate("(name) => void navigator.locks.request(name, () => new Promise(() => {}))", name)

    third = open_tab(context)

    write(server, "on its own")
    expect(third.get_by_text("on its own")).to_be_visible()


def test_a_page_restored_from_the_back_forward_cache_resumes(server, context):
    """While it is in the cache, it holds neither the lock nor the channel."""
    tab, other = open_tab(context), open_tab(context)
    tab.goto("/admin/login/")
    write(server, "while away")
    expect(other.get_by_text("while away")).to_be_visible()

    tab.go_back()

    expect(tab.get_by_text("while away")).to_be_visible()
    is_live(tab)
    is_live(other)


def test_tabs_opened_and_closed_while_rows_change_converge(server, context):
    """Whichever tab owns the connection and whenever a tab was opened: in the end all show the same."""
    tabs = [open_tab(context)]
    for number in range(12):
        write(server, f"turn {number}")
        if number % 3 == 0:
            tabs.append(context.new_page())
            tabs[-1].goto(DEPARTURES)
        write(server, f"turn {number} again", key=2)
        if number % 4 == 3:
            tabs.pop(0).close()

    for tab in tabs:
        expect(tab.get_by_text("turn 11", exact=True)).to_be_visible()
        expect(tab.get_by_text("turn 11 again", exact=True)).to_be_visible()
        is_live(tab)
