"""The main job, as people do it: an edit in the admin appears on every open page."""

import os
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.servers import PASSWORD, ROOT, Server

DEPARTURES = "/boards/departures/"


class Window:
    """A browser window with a page of its own, and everything its console complained of."""

    def __init__(self, browser: Browser, server: Server, **options) -> None:
        self.context = browser.new_context(base_url=server.url, **options)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda said: said.type == "error" and self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.set_default_timeout(10_000)

    def open(self, path: str) -> "Window":
        self.page.goto(path)
        expect(self.page.locator("live-status")).to_have_attribute("data-state", "live")
        self.page.evaluate("() => { window.isTheSamePage = true; }")
        return self

    def sign_in(self) -> "Window":
        self.page.goto("/admin/")
        self.page.fill("#id_username", "editor")
        self.page.fill("#id_password", PASSWORD)
        self.page.click("[type=submit]")
        expect(self.page.locator("#user-tools")).to_be_visible()
        return self

    def entry(self, key: str):
        return self.page.locator(f"[data-rows] > [data-key='{key}']")

    def row(self, label: str):
        return self.page.locator("[data-rows] > [data-key]", has_text=label)

    @property
    def keys(self) -> list[str]:
        """The rows' keys, from top to bottom."""
        return self.page.eval_on_selector_all(ROWS, "rows => rows.map(row => row.dataset.key)")

    def was_never_reloaded(self) -> bool:
        return self.page.evaluate("() => window.isTheSamePage === true")


@pytest.fixture
def windows(browser, server) -> Iterator:
    """Opens windows; at the end none may have had an error in its console."""
    opened: list[Window] = []

    def open_window(**options) -> Window:
        opened.append(Window(browser, server, **options))
        return opened[-1]

    yield open_window
    for window in opened:
        assert window.complaints == []
        window.context.close()
    assert "Traceback" not in server.log.read_text()


ROWS = "[data-rows] > [data-key]"


def test_two_windows_follow_every_kind_of_edit_in_the_admin(windows):
    """Change, add, delete, reorder, hide, bulk status, move: without a reload, in order, and only there."""
    viewers = [windows().open(DEPARTURES), windows().open(DEPARTURES)]
    admin = windows().sign_in()
    bystander = admin.context.new_page()
    bystander.goto("/admin/boards/entry/2/change/")
    bystander.fill("#id_note", "typed, not saved")
    first, second, third, fourth = viewers[0].keys[:4]
    page = admin.page

    page.goto(f"/admin/boards/entry/{first}/change/")
    page.fill("#id_value", "23:59")
    page.click("[name=_save]")
    for viewer in viewers:
        expect(viewer.row("23:59")).to_be_visible()
        assert viewer.keys[0] == first

    page.goto("/admin/boards/entry/add/")
    page.select_option("#id_board", label="Departures")
    page.fill("#id_label", "Zanzibar <i>East</i>")
    page.fill("#id_position", "-1")
    page.click("[name=_save]")
    for viewer in viewers:
        expect(viewer.page.locator(ROWS).first).to_contain_text("Zanzibar <i>East</i>")
    added = viewers[0].keys[0]

    change_in_list(page, added, "position", lambda field: field.fill("100000"))
    for viewer in viewers:
        expect(viewer.page.locator(ROWS).last).to_contain_text("Zanzibar <i>East</i>")

    change_in_list(page, first, "is_visible", lambda field: field.uncheck())
    for viewer in viewers:
        expect(viewer.entry(first)).to_have_count(0)

    run_action(page, [second, third], "set_status_critical")
    for viewer in viewers:
        expect(viewer.entry(second)).to_contain_text("Alert")
        expect(viewer.entry(third)).to_contain_text("Alert")

    run_action(page, [fourth], "move", "This server")
    for viewer in viewers:
        expect(viewer.entry(fourth)).to_have_count(0)

    run_action(page, [added], "delete_selected")
    page.click("#content input[type=submit]")
    for viewer in viewers:
        expect(viewer.row("Zanzibar")).to_have_count(0)

    for viewer in viewers:
        followed = viewer.keys
        assert viewer.was_never_reloaded()
        viewer.page.reload()
        assert viewer.keys == followed
    assert bystander.input_value("#id_note") == "typed, not saved"


def in_list(page: Page, key: str):
    """Return the line of an entry in the admin's list of the departures."""
    page.goto("/admin/boards/entry/?board__id__exact=1")
    return page.locator(f"tr:has(input.action-select[value='{key}'])")


def change_in_list(page: Page, key: str, field: str, change) -> None:
    change(in_list(page, key).locator(f"input[name$=-{field}]"))
    page.click("[name=_save]")


def run_action(page: Page, keys: list[str], action: str, board: str = "") -> None:
    in_list(page, keys[0])
    for key in keys:
        page.locator(f"input.action-select[value='{key}']").check()
    page.select_option("select[name=action]", action)
    if board:
        page.get_by_label("Board to move to").first.select_option(label=board)
    page.click("button[name=index]")


def test_a_change_between_the_painting_and_the_socket_appears(windows, server):
    """The page carries the position of its own rows; what came after it is caught up with."""
    viewer = windows()
    database = server.project.connect()

    def write_first(route) -> None:
        database.execute("UPDATE boards_entry SET label = 'in between' WHERE id = 1")
        database.execute("DELETE FROM boards_entry WHERE id = 2")
        route.continue_()

    viewer.page.route("**/live.js", write_first)
    viewer.open(DEPARTURES)

    expect(viewer.row("in between")).to_be_visible()
    expect(viewer.page.locator("[data-rows] > [data-key='2']")).to_have_count(0)


def test_a_page_converges_after_its_server_was_away(browser, server):
    """Stopped, rows changed with SQL, started: the badge says so meanwhile, and the page catches up."""
    window = Window(browser, server).open(DEPARTURES)
    badge = window.page.locator("live-status")

    server.stop()
    expect(badge).to_have_attribute("data-state", "reconnecting")
    server.project.connect().execute("UPDATE boards_entry SET label = 'changed in the dark' WHERE id = 1")
    server.start()

    expect(window.row("changed in the dark")).to_be_visible(timeout=30_000)
    expect(badge).to_have_attribute("data-state", "live")
    assert window.was_never_reloaded()
    window.context.close()


def test_without_javascript_the_page_is_complete(windows, server):
    """All rows, as of the load, and a word that it does not move."""
    viewer = windows(java_script_enabled=False)

    viewer.page.goto(DEPARTURES)

    (count,) = (
        server.project.connect()
        .execute("SELECT count(*) FROM boards_entry WHERE board_id = 1 AND is_visible")
        .fetchone()
    )
    expect(viewer.page.locator("[data-rows] > [data-key]")).to_have_count(count)
    expect(viewer.page.locator("noscript")).to_have_count(1)


def test_the_demo_board_moves_by_itself(windows):
    """The figures of this server are rows that a periodic job writes."""
    viewer = windows().open("/boards/server/")

    viewer.page.evaluate(
        "() => document.querySelector('live-topic[topic^=entries]')"
        ".addEventListener('realtime:applied', () => { window.moved = true; })"
    )

    viewer.page.wait_for_function("() => window.moved", timeout=15_000)


def test_scripts_reach_the_connection_from_the_console(windows):
    """``realtime.call`` answers, ``realtime.on`` hears."""
    viewer = windows().open(DEPARTURES)

    assert viewer.page.evaluate('() => realtime.call("echo", {text: "hi"})') == {"text": "hi"}
    assert (
        viewer.page.evaluate('() => realtime.call("echo", {}).catch(error => error.fields.text.length)') == 1
    )
    heard = viewer.page.evaluate(
        """() => new Promise(resolve => {
            realtime.on("heartbeat", message => resolve(Object.keys(message.positions)));
        })"""
    )
    assert sorted(heard) == ["board.1", "entries.1"]


def test_a_notice_shows_on_every_open_page(windows, server):
    """Also where nothing is live but the connection; it can be put away."""
    pages = [windows().open(DEPARTURES), windows().open("/")]

    server.project.manage("broadcast", "Fire drill at <b>ten</b>")

    for window in pages:
        notice = window.page.locator("live-notices", has_text="Fire drill at <b>ten</b>")
        expect(notice).to_be_visible()
        notice.get_by_role("button").click()
        expect(notice).to_have_count(0)


def test_a_heading_and_the_list_of_boards_are_live_too(windows, server):
    """A board's title changes on its page and on the index; a new board appears there."""
    board, index = windows().open(DEPARTURES), windows().open("/")
    database = server.project.connect()

    database.execute("UPDATE boards_board SET title = 'Sailings' WHERE id = 1")
    database.execute("INSERT INTO boards_board (slug, title) VALUES ('new', 'A new board')")

    expect(board.page.locator("h1", has_text="Sailings")).to_be_visible()
    expect(index.page.get_by_text("Sailings")).to_be_visible()
    expect(index.page.get_by_text("A new board")).to_be_visible()


def test_markup_in_any_field_stays_text(windows, server):
    """Painted or pushed, in each column: nothing of it runs."""
    evil = "<img src=x onerror=alert(1)></td><script>alert(2)</script>"
    viewer = windows().open(DEPARTURES)
    dialogs: list[str] = []
    viewer.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))

    server.project.connect().execute(
        "UPDATE boards_entry SET label = ?, value = ?, unit = ?, note = ? WHERE id = 1", [evil] * 4
    )
    expect(viewer.row("onerror")).to_be_visible()
    viewer.page.reload()
    expect(viewer.row("onerror")).to_be_visible()

    assert dialogs == []
    assert viewer.page.locator("[data-rows] img, [data-rows] script").count() == 0


def test_a_staff_board_does_not_exist_for_others(windows):
    """404 on its page, no card on the index; the editor has both."""
    stranger, editor = windows(), windows().sign_in()

    assert stranger.page.request.get("/boards/roster/").status == 404
    stranger.open("/")
    expect(stranger.page.get_by_text("Duty roster")).to_have_count(0)
    editor.open("/")
    expect(editor.page.get_by_text("Duty roster")).to_be_visible()
    editor.open("/boards/roster/")


def test_a_page_comes_back_live_from_the_back_forward_cache(windows, server):
    """What changed meanwhile is there, and the badge is true."""
    viewer = windows().open(DEPARTURES)

    viewer.page.goto("/boards/server/")
    server.project.connect().execute("UPDATE boards_entry SET label = 'meanwhile' WHERE id = 1")
    viewer.page.go_back()

    expect(viewer.row("meanwhile")).to_be_visible()
    expect(viewer.page.locator("live-status")).to_have_attribute("data-state", "live")


def test_the_inspector_shows_both_directions(windows):
    """Staff connect, subscribe, type nonsense, see what came back and why it closed."""
    editor = windows().sign_in()
    page = editor.page
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
    """Others are sent to the sign-in page."""
    stranger = windows()

    stranger.page.goto("/realtime/inspector/")

    assert "/admin/login/" in stranger.page.url


@pytest.mark.parametrize("width", [360, 1280, 1920])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_scrolls_sideways(windows, width, scheme):
    """At every width and in both colour schemes; with PICTURE set, one of them is kept for the README."""
    editor = windows(viewport={"width": width, "height": 900}, color_scheme=scheme).sign_in()
    for path in ("/", DEPARTURES, "/boards/server/", "/realtime/inspector/"):
        editor.page.goto(path)
        scroll, client = editor.page.evaluate(
            "() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert scroll <= client, path
    if (width, scheme) == (1280, "light") and os.environ.get("PICTURE"):
        editor.page.goto(DEPARTURES)
        expect(editor.page.locator("live-status")).to_have_attribute("data-state", "live")
        editor.page.screenshot(path=ROOT / "docs" / "board.png", full_page=True)


def test_the_picture_in_the_readme_is_there():
    """``make picture`` renews it."""
    (picture,) = re.findall(r"!\[[^]]*\]\((docs/[^)]+\.png)\)", (ROOT / "README.md").read_text())

    assert (ROOT / picture).stat().st_size > 10_000
