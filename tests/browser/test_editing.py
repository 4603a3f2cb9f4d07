"""Two editors on one board at once: each sees the other's edits in the cells, and none is lost."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.windows import DEPARTURES, PATIENCE_MS, Window

PASTE = """table => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", table);
    document.activeElement.dispatchEvent(new ClipboardEvent("paste", {clipboardData, bubbles: true, cancelable: true}));
}"""


# Presses a key in a row that is shown, and of which the board has no entry any more.
MOVE_GONE = """async key => {
    const row = document.querySelector(`[data-key="${key}"]`);
    const gone = row.cloneNode(true);
    gone.dataset.key = "0";
    row.parentElement.append(gone);
    const press = new KeyboardEvent("keydown", {key: "ArrowUp", altKey: true, bubbles: true});
    gone.querySelector("[data-cell]").dispatchEvent(press);
    await new Promise(resolve => setTimeout(resolve));
    gone.remove();
}"""


@pytest.fixture
def edit(windows) -> Callable[..., Window]:
    """Opens a window in which a signed-in editor edits the departures."""

    def edit(**options) -> Window:
        window = windows(**options).sign_in().open(DEPARTURES)
        window.page.get_by_role("link", name="Edit").click()
        expect(window.page.get_by_role("toolbar", name="Editing")).to_be_visible()
        expect(window.page.locator(".edit-stop").first).to_be_visible()
        return window

    return edit


def cell(window: Window, key: str, kind: str) -> Locator:
    return window.entry(key).locator(f".entry-{kind}")


def tool(window: Window, key: str, name: str) -> Locator:
    return window.entry(key).get_by_role("button", name=name)


def keys_are(window: Window, keys: list[str]) -> None:
    shown = "[...document.querySelectorAll('[data-rows] > [data-key]')].map(row => row.dataset.key)"
    window.page.wait_for_function(
        f"keys => JSON.stringify(keys) === JSON.stringify({shown})", arg=keys, timeout=PATIENCE_MS
    )


def said(window: Window, text: str) -> None:
    expect(window.page.locator(".edit-status-line")).to_contain_text(text)


def type_into(window: Window, key: str, kind: str, text: str) -> Page:
    cell(window, key, kind).click()
    window.page.keyboard.press("Control+A")
    window.page.keyboard.type(text)
    return window.page


def test_two_editors_edit_one_board(edit, windows, server):
    """Values, a conflict, a status, moves, a new entry, a paste, a deletion and its undo; a viewer sees all of it."""
    one, two, viewer = edit(), edit(has_touch=True), windows().open(DEPARTURES)
    database = server.project.connect()
    first, second, third, fourth = viewer.keys[:4]

    type_into(one, first, "value", "06:59").keyboard.press("Enter")
    for window in (one, two, viewer):
        expect(cell(window, first, "value")).to_contain_text("06:59")
    expect(cell(one, second, "value")).to_be_focused()

    # Both change one value: the second one sees both, and chooses.
    type_into(one, second, "note", "Pier 4 · closed")
    type_into(two, second, "note", "Pier 9").keyboard.press("Enter")
    expect(cell(viewer, second, "note")).to_have_text("Pier 9")
    choice = cell(one, second, "note").get_by_role("alert")
    expect(choice).to_contain_text("Changed meanwhile to “Pier 9”")
    choice.get_by_role("button", name="Keep mine: “Pier 4 · closed”").click()
    expect(cell(viewer, second, "note")).to_have_text("Pier 4 · closed")

    window_status = one.entry(third).get_by_label("Status of")
    window_status.select_option("critical")
    for window in (one, two, viewer):
        expect(cell(window, third, "status").locator(".status")).to_have_text("Alert")

    # By keys alone, from where the focus is; quick repeats follow one another.
    before = database.execute("SELECT id, position FROM boards_entry ORDER BY id").fetchall()
    cell(two, fourth, "label").focus()
    for _ in range(2):
        two.page.keyboard.press("Alt+ArrowUp")
    moved = [first, fourth, second, third, *viewer.keys[4:]]
    for window in (one, two, viewer):
        keys_are(window, moved)
    after = database.execute("SELECT id, position FROM boards_entry ORDER BY id").fetchall()
    assert [new[0] for old, new in zip(before, after, strict=True) if old != new] == [int(fourth)]

    # A move that is not possible ends none of those after it.
    one.page.evaluate(MOVE_GONE, fourth)
    tool(one, fourth, "Drag").drag_to(one.entry(third), target_position={"x": 40, "y": 40})
    for window in (one, viewer):
        keys_are(window, [first, second, third, fourth, *moved[4:]])

    tool(two, first, "Add below").click()
    two.page.get_by_label("label of the new entry").fill("Ness <i>Point</i>")
    two.page.keyboard.press("Enter")
    expect(viewer.page.locator("[data-rows] > [data-key]").nth(1)).to_contain_text("Ness <i>Point</i>")

    cell(one, first, "label").focus()
    one.page.evaluate(PASTE, 'Oslo\t12:30\tAlert\tGate 1\nRome\t12:45\t\t"by ""bus""\nor train"\n')
    one.page.get_by_role("dialog").get_by_role("button", name="Add 2 rows below").click()
    expect(viewer.page.locator("[data-rows] > [data-key]").nth(1)).to_contain_text("Oslo")
    expect(viewer.page.locator("[data-rows] > [data-key]").nth(2)).to_contain_text("12:45")
    expect(viewer.page.locator("[data-rows] > [data-key]").nth(2)).to_contain_text('by "bus" or train')
    said(one, "2 rows added")

    # What is typed into an entry that another deletes is not lost.
    type_into(one, third, "note", "typed into what is deleted")
    tool(two, third, "Delete").click()
    expect(viewer.entry(third)).to_have_count(0)
    said(one, "you entered “typed into what is deleted”")
    two.page.locator(".edit-status-line").get_by_role("button", name="Undo").click()
    expect(cell(viewer, third, "status")).to_have_text("Alert")
    one.page.get_by_role("button", name="Add it again with that").click()
    expect(viewer.row("typed into what is deleted")).to_be_visible()

    one.page.get_by_role("button", name="Done").click()
    expect(one.page.locator(".entry-tools")).to_have_count(0)
    expect(viewer.page.get_by_role("link", name="Edit")).to_have_count(0)
    for window in (one, two, viewer):
        assert window.was_never_reloaded()


def test_what_was_typed_stays_while_the_server_is_away(edit, server):
    """An error keeps the input; Enter saves it when the server is back. Escape gives up and writes nothing."""
    window = edit(viewport={"width": 360, "height": 740})
    key = window.keys[0]

    type_into(window, key, "value", "given up").keyboard.press("Escape")
    expect(cell(window, key, "value")).not_to_contain_text("given up")
    server.stop()
    type_into(window, key, "value", "10:10").keyboard.press("Enter")
    expect(cell(window, key, "value").get_by_role("alert")).to_contain_text("Not saved")
    server.start()
    expect(window.page.locator("live-status")).to_have_attribute("data-state", "live")
    cell(window, key, "value").get_by_label("Value of").press("Enter")

    expect(cell(window, key, "value").locator("input")).to_have_count(0)
    expect(cell(window, key, "value")).to_contain_text("10:10")
    # The console reports that the server was away.
    window.errors.clear()


def test_an_editor_sees_which_row_another_one_edits(edit):
    """As initials in the row, while the cell is open, whenever the second one has come; viewers see nothing of it."""
    one, two = edit(), edit()
    first, second = one.keys[:2]
    mark = two.entry(first).locator(".edit-others")

    cell(one, first, "value").click()
    expect(mark).to_have_text("ED")
    expect(mark).to_have_attribute("title", "editor: editing this row")
    expect(one.page.locator(".edit-others")).to_have_count(0)

    cell(one, second, "value").click()
    expect(two.entry(second).locator(".edit-others")).to_have_text("ED")
    expect(mark).to_have_count(0)

    late = edit()
    expect(late.entry(second).locator(".edit-others")).to_have_text("ED")
    one.page.keyboard.press("Escape")
    for window in (two, late):
        expect(window.page.locator(".edit-others")).to_have_count(0)


def test_the_admins_list_follows_the_database_while_it_is_open(windows, server):
    """Typed text stays, and a conflict with it is named on saving; also where rows were added meanwhile."""
    window = windows().sign_in()
    page = window.page
    database = server.project.connect()
    (board,) = database.execute("SELECT id FROM boards_board WHERE slug = 'departures'").fetchone()
    page.goto(f"/admin/boards/entry/?board__id__exact={board}")
    keys = [
        key
        for (key,) in database.execute(
            "SELECT id FROM boards_entry WHERE board_id = ? ORDER BY position, id", [board]
        )
    ]

    def write(value: str, key: int) -> None:
        database.execute("UPDATE boards_entry SET value = ? WHERE id = ?", [value, key])
        database.commit()

    first, second = page.locator("#id_form-0-value"), page.locator("#id_form-1-value")
    write("by a program", keys[1])
    expect(second).to_have_value("by a program")

    first.fill("typed")
    write("theirs", keys[0])
    write("again", keys[1])
    expect(second).to_have_value("again")
    expect(first).to_have_value("typed")

    database.execute("INSERT INTO boards_entry (board_id, label) VALUES (?, 'New')", [board])
    database.commit()
    expect(page.locator(".list-changed")).to_be_visible()
    expect(first).to_have_value("typed")

    page.locator("[name=_save]").first.click()
    expect(page.get_by_text("Changed meanwhile to “theirs”")).to_be_visible()
    expect(page.locator(".errornote")).to_be_visible()
    database.close()


class Actions:
    """The actions of an editor: each click, drag or command of the keyboard; typing a text is none."""

    def __init__(self, page: Page) -> None:
        self.page, self.count = page, 0

    def click(self, element: Locator) -> None:
        self.count += 1
        element.click()

    def drag(self, element: Locator, target: Locator) -> None:
        self.count += 1
        element.drag_to(target, target_position={"x": 40, "y": 3})

    def press(self, key: str) -> None:
        self.count += 1
        self.page.keyboard.press(key)

    def paste(self, table: str) -> None:
        self.count += 1
        self.page.evaluate(PASTE, table)

    def taken(self) -> int:
        """Return how many there were since the last call."""
        count, self.count = self.count, 0
        return count


def test_an_editors_day_is_few_actions(edit, windows):
    """One value, a row to the top, a hundred rows, undo, a time, a notice: counted, on a page that is loaded once."""
    window, viewer = edit(), windows().open(DEPARTURES)
    page, actions = window.page, Actions(window.page)
    first, _, third = window.keys[:3]

    actions.click(cell(window, first, "value"))
    page.keyboard.press("Control+A")
    page.keyboard.type("06:45")
    actions.press("Enter")
    expect(cell(viewer, first, "value")).to_have_text("06:45")
    assert actions.taken() <= 2

    actions.drag(tool(window, third, "Drag"), window.entry(first))
    expect(viewer.page.locator("[data-rows] > [data-key]").first).to_have_attribute("data-key", third)
    assert actions.taken() == 1

    actions.paste("\n".join(f"Pasted {number}\t{number}" for number in range(100)))
    actions.click(page.get_by_role("button", name="Add 100 rows"))
    expect(viewer.page.locator("[data-rows] > [data-key]", has_text="Pasted")).to_have_count(100)
    assert actions.taken() <= 5

    actions.click(page.locator(".edit-status-line").get_by_role("button", name="Undo"))
    expect(viewer.page.locator("[data-rows] > [data-key]", has_text="Pasted")).to_have_count(0)
    assert actions.taken() == 1

    actions.click(tool(window, first, "Times of"))
    page.get_by_label("Show it until").fill("2030-01-01T12:00")
    actions.click(page.get_by_role("dialog").get_by_role("button", name="Save"))
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert actions.taken() == 2
    assert window.was_never_reloaded()
    assert viewer.was_never_reloaded()

    actions.click(page.locator("summary", has_text="Notices"))
    page.get_by_label("Text").fill("The harbour is closed")
    actions.click(page.get_by_role("button", name="Announce"))
    expect(viewer.page.locator(".notice")).to_contain_text("The harbour is closed")
    assert actions.taken() == 2


def test_nothing_can_be_edited_before_its_values_are_there(windows, server):
    """Rows are painted, the server answers late: there is no control yet; what is entered there would be lost."""
    editor, viewer = windows().sign_in(), windows().open(DEPARTURES)
    held: list[str | bytes] = []
    is_held = True

    def hold(socket) -> None:
        def pass_on(message: str | bytes) -> None:
            held.append(message)
            while held and not is_held:
                socket.send(held.pop(0))

        socket.connect_to_server().on_message(pass_on)

    page = editor.page
    page.route_web_socket("**/realtime/ws/**", hold)
    page.goto(DEPARTURES)
    page.get_by_role("link", name="Edit").click()
    said(editor, "Waiting for the entries")
    expect(page.locator(".edit-status, [data-cell], .entry-tools")).to_have_count(0)

    is_held = False  # The next heartbeat brings all of them.
    key = viewer.keys[0]
    editor.entry(key).locator(".edit-status").select_option("critical")
    expect(viewer.entry(key).locator(".status-critical")).to_be_visible()
    said(editor, "saved")
