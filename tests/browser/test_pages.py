"""The main use case: an edit in the admin appears on every open page."""

import os
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Dialog, Locator, Page, expect

from tests.browser.windows import DEPARTURES, ROWS, Window
from tests.support.servers import ROOT


def test_two_windows_follow_every_kind_of_edit_in_the_admin(windows):
    """Change, add, delete, reorder, hide, bulk status, move: without a reload, in order, on that board only."""
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


def in_list(page: Page, key: str) -> Locator:
    """Return the row of an entry in the admin's list of the departures."""
    page.goto("/admin/boards/entry/?board__id__exact=1")
    return page.locator(f"tr:has(input.action-select[value='{key}'])")


def change_in_list(page: Page, key: str, field: str, change: Callable[[Locator], None]) -> None:
    change(in_list(page, key).locator(f"input[name$=-{field}]"))
    page.click("[name=_save]")


def run_action(page: Page, keys: list[str], action: str, board: str = "") -> None:
    in_list(page, keys[0])
    for key in keys:
        page.locator(f"input.action-select[value='{key}']").check()
    page.select_option("select[name=action]", action)
    if board:
        page.get_by_label("Board to move to:").first.select_option(label=board)
    page.click("button[name=index]")


def test_a_change_between_rendering_and_connecting_appears(windows, server):
    """The page contains the position of its rows, and resumes from there."""
    viewer = windows()
    database = server.project.connect()

    def write_first(route) -> None:
        database.execute("UPDATE boards_entry SET label = 'in between' WHERE id = 1")
        database.execute("DELETE FROM boards_entry WHERE id = 2")
        route.continue_()

    viewer.page.route("**/live.min.js", write_first)
    viewer.open(DEPARTURES)

    expect(viewer.row("in between")).to_be_visible()
    expect(viewer.page.locator("[data-rows] > [data-key='2']")).to_have_count(0)


def test_a_page_converges_after_its_server_was_stopped(browser, server):
    """Rows change by SQL while it is stopped: the badge shows the outage, and the page catches up."""
    window = Window(browser, server).open(DEPARTURES)
    badge = window.page.locator("live-status")

    server.stop()
    expect(badge).to_have_attribute("data-state", "reconnecting")
    server.project.connect().execute("UPDATE boards_entry SET label = 'changed while stopped' WHERE id = 1")
    server.start()

    expect(window.row("changed while stopped")).to_be_visible()
    expect(badge).to_have_attribute("data-state", "live")
    assert window.was_never_reloaded()
    window.context.close()


def test_without_javascript_the_page_is_complete(windows, server):
    """All rows as of the load, and a note that it does not update."""
    viewer = windows(java_script_enabled=False)

    viewer.page.goto(DEPARTURES)

    (count,) = (
        server.project.connect()
        .execute("SELECT count(*) FROM boards_entry WHERE board_id = 1 AND is_visible")
        .fetchone()
    )
    expect(viewer.page.locator("[data-rows] > [data-key]")).to_have_count(count)
    expect(viewer.page.locator("noscript")).to_have_count(1)


def test_the_demo_board_updates_by_itself(windows):
    """A periodic job writes figures of the server into its rows."""
    viewer = windows().open("/boards/server/")

    viewer.page.evaluate(
        "() => document.querySelector('live-topic[topic^=entries]')"
        ".addEventListener('realtime:applied', () => { window.updated = true; })"
    )

    viewer.page.wait_for_function("() => window.updated")


def test_scripts_can_use_the_connection(windows):
    """``realtime.call`` returns the reply, ``realtime.on`` receives messages."""
    viewer = windows().open(DEPARTURES)

    assert viewer.page.evaluate('() => realtime.call("echo", {text: "hi"})') == {"text": "hi"}
    assert (
        viewer.page.evaluate('() => realtime.call("echo", {}).catch(error => error.fields.text.length)') == 1
    )
    topics = viewer.page.evaluate(
        """() => new Promise(resolve => {
            realtime.on("heartbeat", message => resolve(Object.keys(message.positions)));
        })"""
    )
    assert sorted(topics) == ["board.1", "entries.1", "notices.1"]


def test_a_notice_shows_on_every_open_page(windows, server):
    """Each page can dismiss it."""
    pages = [windows().open(DEPARTURES), windows().open("/")]

    server.project.manage("broadcast", "Fire drill at <b>ten</b>")

    for window in pages:
        notice = window.page.locator("live-notices", has_text="Fire drill at <b>ten</b>")
        expect(notice).to_be_visible()
        notice.get_by_role("button").click()
        expect(notice).to_have_count(0)


def test_the_heading_and_the_list_of_boards_are_live_too(windows, server):
    """A board's title changes on its page and on the index; a new board appears there."""
    board, index = windows().open(DEPARTURES), windows().open("/")
    database = server.project.connect()

    database.execute("UPDATE boards_board SET title = 'Sailings' WHERE id = 1")
    database.execute("INSERT INTO boards_board (slug, title) VALUES ('new', 'A new board')")

    expect(board.page.locator("h1", has_text="Sailings")).to_be_visible()
    expect(index.page.get_by_text("Sailings")).to_be_visible()
    expect(index.page.get_by_text("A new board")).to_be_visible()


def test_markup_in_any_field_stays_text(windows, server):
    """Rendered or pushed, in each column: no script in it runs."""
    evil = "<img src=x onerror=alert(1)></td><script>alert(2)</script>"
    viewer = windows().open(DEPARTURES)
    dialogs: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    viewer.page.on("dialog", dismiss)

    server.project.connect().execute(
        "UPDATE boards_entry SET label = ?, value = ?, unit = ?, note = ? WHERE id = 1", [evil] * 4
    )
    expect(viewer.row("onerror")).to_be_visible()
    viewer.page.reload()
    expect(viewer.row("onerror")).to_be_visible()

    assert dialogs == []
    assert viewer.page.locator("[data-rows] img, [data-rows] script").count() == 0


def test_a_staff_board_does_not_exist_for_others(windows):
    """Its page answers 404 and the index has no card for it; the editor sees both."""
    stranger, editor = windows(), windows().sign_in()

    assert stranger.page.request.get("/boards/roster/").status == 404
    stranger.open("/")
    expect(stranger.page.get_by_text("Duty roster")).to_have_count(0)
    editor.open("/")
    expect(editor.page.get_by_text("Duty roster")).to_be_visible()
    editor.open("/boards/roster/")


def test_a_page_restored_from_the_back_forward_cache_is_live(windows, server):
    """It shows what changed meanwhile, and the badge says "live"."""
    viewer = windows().open(DEPARTURES)

    viewer.page.goto("/boards/server/")
    server.project.connect().execute("UPDATE boards_entry SET label = 'meanwhile' WHERE id = 1")
    viewer.page.go_back()

    expect(viewer.row("meanwhile")).to_be_visible()
    expect(viewer.page.locator("live-status")).to_have_attribute("data-state", "live")


@pytest.mark.combinations("width", "scheme")
@pytest.mark.parametrize("width", [360, 1280, 1920])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_scrolls_sideways(windows, width, scheme):
    """At every width and in both colour schemes; if PICTURE is set, one screenshot is kept for the README."""
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


def test_the_picture_of_the_readme_exists():
    """``make picture`` renews it."""
    (picture,) = re.findall(r"!\[[^]]*\]\((docs/[^)]+\.png)\)", (ROOT / "README.md").read_text())

    assert (ROOT / picture).stat().st_size > 10_000
