"""Screens that are run from a desk, and walls while the server is away, in Chromium."""

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.browser.windows import DEPARTURES, PATIENCE_MS, Window
from tests.support import servers
from tests.support.servers import ROOT, Project, Server

SCREENS = "/admin/boards/screen/"
WALL = f"{DEPARTURES}wall/"
LIVE = "html[data-state='live']"


@pytest.fixture(scope="module")
def server(prepared: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of this file."""
    project = servers.copy(prepared, tmp_path_factory.mktemp("screens") / "project", HEARTBEAT_SECONDS="2")
    with servers.running(project) as server:
        yield server


@pytest.fixture
def screen(windows: Callable[..., Window]) -> Page:
    page = windows(viewport=ViewportSize(width=1280, height=720)).page
    page.goto("/screen/")
    expect(page.locator(LIVE)).to_have_count(1)
    return page


@pytest.fixture
def desk(windows: Callable[..., Window]) -> Page:
    return windows().sign_in().page


def pair(desk: Page, screen: Page, name: str, board: str) -> None:
    """Type the code of a screen at the desk."""
    code = "".join(screen.locator(".screen-code span").all_text_contents())
    desk.goto(f"{SCREENS}add/")
    desk.fill("#id_screen_code", code.lower())
    desk.fill("#id_name", name)
    desk.select_option("#id_board", label=board)
    desk.click("[name=_save]")
    expect(desk.locator(".messagelist")).to_contain_text("was added successfully")


def act(desk: Page, name: str, action: str) -> None:
    desk.goto(SCREENS)
    desk.locator("tr", has_text=name).locator("[name=_selected_action]").check()
    desk.select_option("[name=action]", action)
    desk.click("[name=index]")
    expect(desk.locator(".messagelist")).to_contain_text("1 screen:")


def test_an_editor_runs_a_screen_from_the_desk(screen, desk, server):
    """Its code is typed once; then it shows a board, its name and another board, and loads again."""
    pair(desk, screen, "Pier 2", "Departures")
    expect(screen.locator("h1")).to_have_text("Departures")
    expect(screen.locator(LIVE)).to_have_count(1)

    act(desk, "Pier 2", "identify")
    expect(screen.locator(".screen-name")).to_have_text("Pier 2")
    expect(screen.locator(".screen-name")).to_be_visible()

    screen.evaluate("window.isTheSamePage = true")
    act(desk, "Pier 2", "ask_reload")
    screen.wait_for_function("() => window.isTheSamePage === undefined")
    expect(screen.locator(LIVE)).to_have_count(1)

    expect(desk.locator("tr", has_text="Pier 2")).to_contain_text("1280x720")
    expect(desk.locator("tr", has_text="Pier 2")).to_contain_text("online")
    desk.locator("tr", has_text="Pier 2").locator("select").select_option(label="This server")
    desk.click("[name=_save]")
    expect(screen.locator("h1")).to_have_text("This server")

    server.project.connect().execute("DELETE FROM boards_screen WHERE name = 'Pier 2'")
    expect(screen.locator(".screen-code")).to_be_visible()


def test_a_screen_that_was_replaced_while_it_waits_shows_a_new_code(screen, server):
    """Its row has become that of another screen; the page notices without being loaded again by hand."""
    shown = "".join(screen.locator(".screen-code span").all_text_contents())
    server.project.connect().execute(
        "UPDATE boards_screen SET topic = 'another', token_digest = 'another', code = 'ZZZZZZ' WHERE code = ?",
        [shown],
    )

    expect(screen.locator(".screen-code")).not_to_contain_text(shown[:3])
    expect(screen.locator(".screen-code")).to_be_visible()
    server.project.connect().execute("DELETE FROM boards_screen WHERE code = 'ZZZZZZ'")


BUILD = re.compile(".*/build/$")


@pytest.fixture
def wall(browser: Browser, server: Server) -> Iterator[Page]:
    """A wall whose clock and network the test has: its console has errors of the network."""
    window = Window(browser, server, viewport=ViewportSize(width=1280, height=720))
    window.page.clock.install()
    window.page.goto(WALL)
    expect(window.page.locator(LIVE)).to_have_count(1)
    window.page.evaluate("window.isTheSamePage = true")
    yield window.page
    window.context.close()


def reconnect(page: Page) -> None:
    """Let the page lose its connection and find it again, as when a release is put in place."""
    page.context.set_offline(True)
    page.evaluate("dispatchEvent(new Event('offline'))")
    page.clock.fast_forward(40_000)
    expect(page.locator(LIVE)).to_have_count(0)
    page.context.set_offline(False)
    page.evaluate("dispatchEvent(new Event('online'))")
    page.clock.fast_forward(40_000)
    expect(page.locator(LIVE)).to_have_count(1)


def test_a_wall_of_another_build_loads_again_within_a_minute_and_once_an_hour(wall):
    page = wall
    page.context.route(BUILD, lambda route: route.fulfill(body="another"))

    reconnect(page)
    page.clock.fast_forward(60_000)
    page.wait_for_function("() => window.isTheSamePage === undefined")
    expect(page.locator(LIVE)).to_have_count(1)

    page.evaluate("window.isTheSamePage = true")
    with page.expect_request(BUILD):
        reconnect(page)
        page.clock.fast_forward(60_000)
    assert page.evaluate("window.isTheSamePage")
    page.clock.fast_forward(3_700_000)
    page.wait_for_function("() => window.isTheSamePage === undefined")


def test_a_page_does_not_load_again_while_its_user_types(browser, server):
    """Neither while a field has the focus nor while one holds what was not sent; afterwards it does."""
    window = Window(browser, server, viewport=ViewportSize(width=1280, height=720)).sign_in()
    page = window.page
    page.clock.install()
    page.goto(DEPARTURES)
    live = page.locator("live-status[data-state='live']")
    expect(live).to_have_count(1)
    page.evaluate("window.isTheSamePage = true")
    page.context.route(BUILD, lambda route: route.fulfill(body="another"))
    page.locator("summary", has_text="Notices").click()
    text = page.locator("#notice_text")
    text.fill("Pier 2 is")
    page.locator("h1").click()

    page.context.set_offline(True)
    page.clock.fast_forward(40_000)
    expect(live).to_have_count(0)
    page.context.set_offline(False)
    page.clock.fast_forward(40_000)
    expect(live).to_have_count(1)
    with page.expect_request(BUILD):
        page.clock.fast_forward(60_000)
    page.clock.fast_forward(60_000)
    assert page.evaluate("window.isTheSamePage")

    text.fill("")
    page.locator("h1").click()
    page.clock.fast_forward(60_000)
    page.wait_for_function("() => window.isTheSamePage === undefined")
    window.context.close()


CODE = """(() => {
  const code = document.querySelector(".screen-code");
  if (document.documentElement.dataset.state !== "live" || !code) return null;
  const { bottom, right } = document.querySelector(".qr").getBoundingClientRect();
  return { code: code.textContent.length, isWithin: bottom <= innerHeight && right <= innerWidth };
})()"""


def test_chromium_87_shows_a_screen(server):
    """Its code and picture, live, with nothing in its console."""
    if importlib.util.find_spec("PyQt5") is None:
        pytest.skip("NOT TESTED IN CHROMIUM 87: no PyQtWebEngine for this machine")
    command = [sys.executable, "-m", "tests.browser.webengine", f"{server.url}/screen/", "1920", "1080"]

    process = subprocess.run(
        command, cwd=ROOT, input=CODE, capture_output=True, text=True, timeout=PATIENCE_MS / 1000 + 60
    )

    assert process.returncode == 0, process.stderr
    found = json.loads(process.stdout)
    assert found["console"] == []
    assert found["value"] == {"code": 7, "isWithin": True}


def test_a_wall_shows_the_last_rows_and_their_age_while_the_server_is_away(browser, prepared, tmp_path):
    """Also after it was switched off and on; the rows of now come with the server."""
    project = servers.copy(prepared, tmp_path / "project", HEARTBEAT_SECONDS="2")
    with servers.running(project) as server:
        window = Window(browser, server, viewport=ViewportSize(width=1280, height=720))
        page = window.page
        page.goto(WALL)
        page.evaluate("navigator.serviceWorker.ready")
        page.wait_for_function("() => navigator.serviceWorker.controller")
        page.reload()
        expect(page.locator(LIVE)).to_have_count(1)
        database = project.connect()
        page.clock.install()
        page.reload()
        expect(page.locator(LIVE)).to_have_count(1)
        database.execute(
            "UPDATE boards_entry SET note = 'the last word' WHERE board_id = 1 AND position = 10"
        )
        expect(page.locator(".entry").first).to_contain_text("the last word")
        page.clock.fast_forward(61_000)
        page.wait_for_function(
            """async () => (await (await (await caches.open("boards-walls")).match(location.href))?.text())
                 ?.includes("the last word")"""
        )

        server.stop()
        page.clock.fast_forward(3_600_000)
        expect(page.locator(".wall-band")).to_have_text(re.compile("^No connection since"))
        page.goto(WALL)

        expect(page.locator(".entry").first).to_contain_text("the last word")
        expect(page.locator(".wall-band")).to_have_text(re.compile(r"^No connection since \w* ?\d\d:\d\d$"))
        assert page.evaluate("getComputedStyle(document.querySelector('.entry')).display") == "flex"
        database.execute("UPDATE boards_entry SET note = 'news' WHERE board_id = 1 AND position = 10")
        server.start()
        page.clock.fast_forward(60_000)
        expect(page.locator(LIVE)).to_have_count(1)
        expect(page.locator(".entry").first).to_contain_text("news")
        expect(page.locator(".wall-band")).to_be_hidden()
        window.context.close()


def test_the_worker_of_walls_has_no_part_in_other_pages(windows):
    page = windows().page
    page.goto(WALL)
    page.evaluate("navigator.serviceWorker.ready")

    scopes = page.evaluate(
        "navigator.serviceWorker.getRegistrations().then((all) => all.map(({ scope }) => new URL(scope).pathname))"
    )
    page.goto(DEPARTURES)

    assert scopes == [WALL]
    assert page.evaluate("navigator.serviceWorker.controller") is None
