"""What editors and viewers enter is not lost, nor done twice: while the server is slow or gone, or a script late."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Dialog, Page, Route, expect

from tests.browser.test_editing import PASTE, cell, edit, said, tool, type_into  # noqa: F401
from tests.browser.windows import DEPARTURES, PATIENCE_MS, Window

Edit = Callable[..., Window]


class Line:
    """The WebSockets of a page to its server: calls can be held back, and the connection cut."""

    def __init__(self, page: Page) -> None:
        self.is_held = False
        self._sockets: list[tuple[Any, Any]] = []
        self._held: list[tuple[Any, str | bytes]] = []
        page.route_web_socket("**/realtime/ws/**", self._open)

    def _open(self, socket: Any) -> None:
        server = socket.connect_to_server()
        self._sockets.append((socket, server))

        def pass_on(message: str | bytes) -> None:
            if self.is_held and '"call"' in str(message):
                self._held.append((server, message))
            else:
                server.send(message)

        socket.on_message(pass_on)

    def wait_for_call(self, page: Page) -> None:
        for _ in range(PATIENCE_MS // 20):
            if self._held:
                return
            page.wait_for_timeout(20)
        raise AssertionError("The page has called nothing.")

    def release(self) -> None:
        self.is_held = False
        for server, message in self._held:
            server.send(message)
        self._held.clear()

    def cut(self) -> None:
        """End the connection, with the calls that were held back; the page opens another one."""
        self.is_held = False
        self._held.clear()
        socket, server = self._sockets[-1]
        server.close()
        socket.close()


@pytest.fixture
def held(windows: Callable[..., Window]) -> Callable[[], tuple[Window, Line]]:
    """Opens a window in which an editor edits the departures, and its line."""

    def open_window() -> tuple[Window, Line]:
        window = windows().sign_in()
        line = Line(window.page)
        window.open(DEPARTURES).page.get_by_role("link", name="Edit").click()
        expect(window.page.locator(".edit-stop").first).to_be_visible()
        return window, line

    return open_window


def draft(window: Window, label: str) -> None:
    window.page.get_by_role("button", name="Add entry").click()
    window.page.get_by_label("label of the new entry").fill(label)


def test_a_new_entry_is_added_once(held, windows):
    """Enter twice, and a click, while the server has not answered."""
    (window, line), viewer = held(), windows().open(DEPARTURES)
    draft(window, "Once")
    line.is_held = True
    window.page.keyboard.press("Enter")
    window.page.keyboard.press("Enter")
    window.page.get_by_role("button", name="Add", exact=True).click()
    line.release()
    expect(viewer.row("Once")).to_be_visible()

    type_into(window, viewer.keys[0], "note", "later").keyboard.press("Enter")
    expect(cell(viewer, viewer.keys[0], "note")).to_have_text("later")
    expect(viewer.row("Once")).to_have_count(1)


def test_pasted_rows_are_added_once(held, windows):
    (window, line), viewer = held(), windows().open(DEPARTURES)
    window.page.evaluate(PASTE, "Oslo\t1\nRome\t2")
    line.is_held = True
    add = window.page.get_by_role("button", name="Add 2 rows")
    add.click()
    add.click()
    line.release()
    expect(viewer.row("Oslo")).to_be_visible()

    type_into(window, viewer.keys[0], "note", "later").keyboard.press("Enter")
    expect(cell(viewer, viewer.keys[0], "note")).to_have_text("later")
    expect(viewer.row("Oslo")).to_have_count(1)


def test_a_table_pasted_into_a_form_stays_there(edit):  # noqa: F811
    """The field of a notice takes what is pasted into it: no rows are offered."""
    window = edit()
    window.page.locator("summary", has_text="Notices").click()
    window.page.get_by_label("Text").focus()
    window.page.evaluate(PASTE, "one\ttwo\nthree\tfour")

    expect(window.page.get_by_role("dialog")).to_have_count(0)


def test_a_new_row_that_is_not_added_moves_with_its_input(edit):  # noqa: F811
    """“+” elsewhere while something is typed; “Done” asks for it first."""
    window = edit()
    first = window.keys[0]
    draft(window, "Typed")
    tool(window, first, "Add below").click()

    row = window.page.locator(".is-draft")
    expect(row).to_have_count(1)
    expect(row.get_by_label("label of the new entry")).to_have_value("Typed")
    expect(window.page.locator(f"[data-key='{first}'] + .is-draft")).to_be_visible()
    window.page.get_by_role("button", name="Done").click()
    said(window, "not saved yet")
    expect(row.get_by_label("label of the new entry")).to_be_focused()

    window.page.keyboard.press("Escape")
    window.page.get_by_role("button", name="Done").click()
    expect(window.page.get_by_role("toolbar", name="Editing")).to_have_count(0)


def test_done_keeps_what_could_not_be_saved(held, windows):
    """The connection ends while it is saved: editing goes on, with the input and the reason."""
    (window, line), viewer = held(), windows().open(DEPARTURES)
    first = viewer.keys[0]
    line.is_held = True
    type_into(window, first, "note", "kept")
    window.page.get_by_role("button", name="Done").click()
    line.wait_for_call(window.page)
    line.cut()

    said(window, "not saved yet")
    expect(cell(window, first, "note")).to_contain_text("the server has not answered")
    expect(cell(window, first, "note").locator("input")).to_have_value("kept")
    window.page.keyboard.press("Enter")
    expect(cell(viewer, first, "note")).to_have_text("kept")
    window.page.get_by_role("button", name="Done").click()
    expect(window.page.get_by_role("toolbar", name="Editing")).to_have_count(0)


def test_what_is_typed_while_the_server_saves_is_kept(held, windows):
    (window, line), viewer = held(), windows().open(DEPARTURES)
    first = viewer.keys[0]
    line.is_held = True
    type_into(window, first, "note", "one").keyboard.press("Enter")
    line.wait_for_call(window.page)
    field = cell(window, first, "note").locator("input")
    field.fill("one, two")
    line.release()
    expect(cell(viewer, first, "note")).to_have_text("one")
    expect(cell(window, first, "note").locator(".is-saving")).to_have_count(0)

    expect(field).to_have_value("one, two")
    field.press("Enter")
    expect(cell(viewer, first, "note")).to_have_text("one, two")
    expect(field).to_have_count(0)


@pytest.mark.parametrize("where", ["cell", "new row"])
def test_leaving_the_page_asks_where_something_is_not_saved(edit, where):  # noqa: F811
    window = edit()
    if where == "cell":
        type_into(window, window.keys[0], "note", "typed")
    else:
        draft(window, "typed")

    with window.page.expect_event("dialog") as asked:
        window.page.close(run_before_unload=True)

    assert asked.value.type == "beforeunload"
    asked.value.accept()


def test_leaving_a_form_of_the_admin_asks_where_something_is_not_saved(windows):
    """Not after saving, nor for what is chosen in a list without writing it."""
    page = windows().sign_in().page
    page.goto("/admin/boards/board/1/change/")
    page.fill("#id_description", "typed")
    with page.expect_event("dialog") as asked:
        # Later: the question stops the page, and a call of it would wait for its end.
        page.evaluate("setTimeout(() => document.querySelector('.breadcrumbs a').click())")
    assert asked.value.type == "beforeunload"
    asked.value.dismiss()

    dialogs: list[str] = []

    def accept(dialog: Dialog) -> None:
        dialogs.append(dialog.type)
        dialog.accept()

    page.on("dialog", accept)
    page.locator("[name=_save]").first.click()
    expect(page.locator(".messagelist .success")).to_be_visible()
    page.locator(".action-select").first.check()
    page.locator("select[name=action]").select_option("delete_selected")
    page.get_by_role("link", name="Home").first.click()
    expect(page.locator("#content h1")).to_have_text("Edit here; every open page follows")
    assert dialogs == []


def test_two_choices_of_a_status_follow_one_another(held, windows):
    """The second one while the first is being saved: it is no conflict with oneself."""
    (window, line), viewer = held(), windows().open(DEPARTURES)
    first = viewer.keys[0]
    line.is_held = True
    select = window.entry(first).locator(".edit-status")
    select.select_option("warning")
    select.select_option("critical")
    line.wait_for_call(window.page)
    line.release()

    expect(viewer.entry(first).locator(".status-critical")).to_be_visible()
    said(window, "saved")
    expect(select).to_have_value("critical")


def test_a_status_that_was_not_set_is_offered_again(held, windows):
    (window, line), viewer = held(), windows().open(DEPARTURES)
    first = viewer.keys[0]
    line.is_held = True
    window.entry(first).locator(".edit-status").select_option("critical")
    line.wait_for_call(window.page)
    line.cut()

    said(window, "Not done: the server has not answered")
    window.page.get_by_role("button", name="Try again").click()
    expect(viewer.entry(first).locator(".status-critical")).to_be_visible()


def test_the_times_of_an_entry_open_once(held):
    """Two clicks before the server has answered; the times are saved once."""
    window, line = held()
    first = window.keys[0]
    line.is_held = True
    tool(window, first, "Times of").dblclick()
    line.wait_for_call(window.page)
    line.release()

    expect(window.page.get_by_role("dialog")).to_have_count(1)


def test_without_the_page_client_edit_leads_to_the_admin(windows):
    """It could not be loaded: the page offers what works."""
    window = windows().sign_in()
    window.page.route("**/live.min*.js", lambda route: route.abort())
    window.page.goto(DEPARTURES)
    window.page.get_by_role("link", name="Edit").click()

    window.page.wait_for_url("**/admin/boards/entry/**")
    window.errors.clear()  # of the script that was not loaded


def test_a_text_that_cannot_be_copied_is_selected(windows):
    """The browser refuses its clipboard: the button says which keys copy."""
    window = windows().sign_in()
    window.page.add_init_script(
        "Object.defineProperty(navigator, 'clipboard', {value: {writeText: () => Promise.reject(new Error())}})"
    )
    window.page.goto(f"{DEPARTURES}share/")
    place = window.page.locator(".share-text").first
    place.get_by_role("button", name="Copy").click()

    expect(place.get_by_role("button")).to_have_text("Press Ctrl+C")
    expect(place.locator("input")).to_be_focused()


def test_what_is_typed_while_a_message_is_sent_stays(windows, server):
    """The form is emptied only of what was sent."""
    database = server.project.connect()
    database.execute("UPDATE boards_board SET takes_messages = 1")
    database.commit()
    database.close()
    page = windows().open(DEPARTURES).page
    waiting: list[Route] = []
    page.route("**/messages/", lambda route: waiting.append(route))
    field = page.get_by_role("textbox", name="Message")
    field.fill("First")
    with page.expect_request("**/messages/"):
        page.get_by_role("button", name="Send").click()
    field.fill("Second")
    waiting[0].continue_()

    expect(page.locator(".voices-form output")).to_contain_text("approved")
    expect(field).to_have_value("Second")


def test_what_is_typed_in_the_admins_list_before_its_script_is_kept(windows, server):
    """Another's change of the same value is asked about, as when the script was there from the beginning."""
    page = windows().sign_in().page
    waiting: list[Route] = []
    page.route("**/admin-list*.js", lambda route: waiting.append(route))
    with page.expect_request("**/admin-list*.js"):
        page.goto("/admin/boards/entry/", wait_until="commit")
    first = page.locator("#id_form-0-value")
    first.fill("typed")
    waiting[0].continue_()
    page.wait_for_load_state()
    database = server.project.connect()
    key = page.locator("#id_form-0-id").input_value()
    database.execute("UPDATE boards_entry SET value = 'theirs' WHERE id = ?", [key])
    database.execute("UPDATE boards_entry SET value = 'again' WHERE id = ?", [int(key) + 1])
    database.commit()
    database.close()
    expect(page.locator("#id_form-1-value")).to_have_value("again")
    expect(first).to_have_value("typed")

    page.locator("[name=_save]").first.click()
    expect(page.get_by_text("Changed meanwhile to “theirs”")).to_be_visible()
