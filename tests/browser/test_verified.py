"""A page shows as live only what is: against a real server, by each transport."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from tests.browser.proxy import POLL, STREAM, UPGRADE, Proxy
from tests.browser.windows import DEPARTURES, ROWS
from tests.support.servers import Server

NEWER_THAN_THE_FLOOR = """
    for (const name of ["at", "toSorted", "toReversed", "toSpliced", "with", "findLast", "findLastIndex", "group"]) {
        delete Array.prototype[name];
    }
    delete String.prototype.at; delete Object.hasOwn; delete Object.groupBy; delete Map.groupBy;
    delete Promise.any; delete Promise.withResolvers; delete AbortSignal.timeout; delete AbortSignal.any;
    delete window.structuredClone; delete crypto.randomUUID; delete Element.prototype.moveBefore;
    delete Element.prototype.checkVisibility; delete Element.prototype.setHTMLUnsafe; delete window.WeakRef;
    Object.defineProperty(navigator, "locks", { value: undefined });
"""
# Reloads of many pages are spread at random.
WITHOUT_SPREAD = "Math.random = () => 0;"


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(timezone_id="Europe/Berlin", locale="en-GB")
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    page = context.new_page()
    page.set_default_timeout(20_000)
    return page


def shows(page: Page, state: str) -> None:
    expect(page.locator("live-status")).to_have_attribute("data-state", state)


WRONG = {
    "a row lost": "rows[2].remove()",
    "a row too many": "rows[0].after(rows[1].cloneNode(true))",
    "a row of old": "rows[1].dataset.digest = 7; rows[1].lastElementChild.append('old')",
    "all rows lost": "rows.forEach((row) => row.remove())",
}


@pytest.mark.combinations("transport", "wrong")
@pytest.mark.parametrize("transport", ["websocket", "sse", "poll"])
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_a_page_whose_rows_are_wrong_is_corrected(
    proxy: Proxy, page: Page, wrong: str, transport: str
) -> None:
    """With the next heartbeat, or at the latest with the one after it; no row was written meanwhile."""
    proxy.refused = {"websocket": (), "sse": (UPGRADE,), "poll": (UPGRADE, STREAM)}[transport]
    page.goto(proxy.url + DEPARTURES)
    shows(page, "live")
    expect(page.locator("live-status")).to_have_attribute("data-transport", transport)
    texts = page.locator(ROWS).all_text_contents()

    page.evaluate(
        f"""() => {{
            window.corrected = [];
            addEventListener("realtime:corrected", ({{ detail }}) => window.corrected.push(detail.topic));
            const rows = document.querySelectorAll("[data-rows] > [data-key]");
            {wrong};
        }}"""
    )
    if transport == "poll":  # instead of waiting for the answer to the poll under way
        page.evaluate("dispatchEvent(new Event('online'))")

    page.wait_for_function("() => window.corrected.length > 0")
    shows(page, "live")
    assert page.locator(ROWS).all_text_contents() == texts
    assert page.evaluate("window.corrected") == ["entries.1"]


def test_the_digests_of_painted_rows_are_those_of_the_server(server: Server, page: Page) -> None:
    """So no page requests a snapshot after its load: every topic of the demo, before and after a change."""
    warnings: list[str] = []
    page.on("console", lambda message: warnings.append(message.text))
    for path in ("/", DEPARTURES, "/boards/server/"):
        page.goto(server.url + path)
        page.evaluate("""() => new Promise((resolve) => {
            let heartbeats = 0;
            realtime.on("heartbeat", ({ digests }) => {
                if (Object.keys(digests ?? {}).length > 0 && ++heartbeats === 2) resolve();
            });
        })""")

    assert warnings == []


def test_rows_that_may_not_be_read_any_longer_vanish_and_return(server: Server, page: Page) -> None:
    """Without a reload: a board is made private, and public again."""
    page.goto(server.url + DEPARTURES)
    shows(page, "live")
    page.evaluate("window.isTheSamePage = true")
    database = server.project.connect()

    database.execute("UPDATE boards_board SET is_public = 0 WHERE id = 1")
    shows(page, "refused")
    expect(page.locator("live-status")).to_have_text("no longer allowed")
    expect(page.locator("[data-key]")).to_have_count(0)
    expect(page.locator("table")).to_be_hidden()

    database.execute("UPDATE boards_entry SET label = 'meanwhile' WHERE id = 1")
    database.execute("UPDATE boards_board SET is_public = 1 WHERE id = 1")
    shows(page, "live")
    expect(page.get_by_text("meanwhile")).to_be_visible()
    expect(page.locator(".realtime-refused")).to_have_count(0)
    assert page.evaluate("window.isTheSamePage")


def test_a_page_needs_no_function_newer_than_the_stated_browsers(server: Server, page: Page) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.add_init_script(NEWER_THAN_THE_FLOOR)
    page.goto(server.url + DEPARTURES)
    shows(page, "live")

    database = server.project.connect()
    database.execute("UPDATE boards_entry SET label = 'changed', position = 9999 WHERE id = 1")
    expect(page.locator(ROWS).last).to_contain_text("changed")
    server.stop()
    shows(page, "reconnecting")
    server.project.manage("restart_log")  # so that a snapshot follows
    database.execute("UPDATE boards_entry SET label = 'changed again' WHERE id = 1")
    server.start()

    expect(page.get_by_text("changed again")).to_be_visible()
    shows(page, "live")
    assert [error for error in errors if "ERR_CONNECTION_REFUSED" not in error] == []


def test_a_page_that_cannot_show_rows_reloads_itself_once(server: Server, page: Page) -> None:
    page.add_init_script(WITHOUT_SPREAD)
    page.goto(server.url + DEPARTURES)
    shows(page, "live")

    page.evaluate("""() => {
        window.isTheSamePage = true;
        Node.prototype.isEqualNode = () => { throw new TypeError("a function that this browser lacks"); };
    }""")
    server.project.connect().execute("UPDATE boards_entry SET label = 'rewritten' WHERE id = 1")

    page.wait_for_function("() => !window.isTheSamePage")
    expect(page.get_by_text("rewritten")).to_be_visible()
    shows(page, "live")


def test_a_page_that_is_broken_for_good_is_stale_and_does_not_reload_forever(
    server: Server, page: Page
) -> None:
    page.add_init_script(
        WITHOUT_SPREAD + "sessionStorage.loads = 1 + Number(sessionStorage.loads ?? 0);"
        "Node.prototype.isEqualNode = () => { throw new TypeError('a function that this browser lacks'); };"
    )
    page.goto(server.url + DEPARTURES)
    shows(page, "live")
    database = server.project.connect()

    database.execute("UPDATE boards_entry SET label = 'changed' WHERE id = 1")
    page.wait_for_function("() => sessionStorage.loads === '2'")
    shows(page, "live")  # the reloaded page was painted by the server
    database.execute("UPDATE boards_entry SET label = 'changed again' WHERE id = 1")

    shows(page, "stale")
    expect(page.locator("live-topic[topic='entries.1']")).to_have_attribute("state", "stale")
    # Two further snapshots that it cannot show.
    page.evaluate("""() => new Promise((resolve) => {
        let snapshots = 0;
        realtime.on("snapshot", () => ++snapshots === 1 && resolve());
    })""")
    shows(page, "stale")
    assert page.evaluate("sessionStorage.loads") == "2"


@pytest.mark.parametrize("how", ["refused", "swallowed"])
def test_a_page_that_no_transport_serves_says_how_old_it_is(proxy: Proxy, page: Page, how: str) -> None:
    setattr(proxy, how, (UPGRADE, STREAM, POLL))

    page.goto(proxy.url + DEPARTURES)

    for element in page.locator("live-topic").all():
        expect(element).to_have_attribute("state", "stale")
    badge = page.locator("live-status")
    expect(badge).to_have_text(re.compile(r"(connecting|reconnecting) as of \d\d:\d\d$"))
    loaded = page.evaluate("performance.timeOrigin")
    shown = page.evaluate("Date.parse(document.querySelector('live-status time').dateTime)")
    assert abs(shown - loaded) < 1


def test_a_tag_inside_of_a_table_is_refused_with_words(server: Server, page: Page) -> None:
    """The page as a developer writes it at the first try: ``<table><tbody>{% live … %}</tbody></table>``."""
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)

    def wrap(route: Route) -> None:
        html = route.fetch().text()
        tag = re.search(r'<live-topic topic="entries[^>]*>', html)
        assert tag is not None
        table = re.compile(r"<tbody[^>]* data-rows>(.*?)</tbody>", re.DOTALL).search(html, tag.end())
        assert table is not None
        end = html.index("</live-topic>", tag.end())
        live = f"<table><tbody>{tag[0]}{table[1]}</live-topic></tbody></table>"
        route.fulfill(body=html[: tag.start()] + live + html[end + 13 :], content_type="text/html")

    page.route(f"**{DEPARTURES}", wrap)
    page.goto(server.url + DEPARTURES)

    shows(page, "misplaced")
    expect(page.locator("live-topic[topic='board.1']")).to_have_attribute("state", "live")
    element = page.locator("live-topic[topic='entries.1']")
    expect(element).to_have_attribute("state", "misplaced")
    expect(element).to_have_text("These rows do not follow later changes. Reload the page to see them.")
    (error,) = (
        each for each in errors if "WebSocket" not in each
    )  # blocked, because the page has no address
    assert "<tbody data-rows>" in error


@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_does_not_move_when_the_badge_changes(server: Server, page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(server.url + DEPARTURES)
    shows(page, "live")
    top = "document.querySelector('main').getBoundingClientRect().top"
    before = page.evaluate(top)

    server.stop()
    shows(page, "reconnecting")

    expect(page.locator("live-status time")).to_be_visible()
    assert page.evaluate(top) == before
