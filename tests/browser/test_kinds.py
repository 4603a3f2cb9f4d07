"""A board of its own kind: an editor makes it from a template, and its viewers see its words in its language."""

from playwright.sync_api import expect

from tests.browser.windows import PATIENCE_MS


def test_a_german_board_is_made_of_a_template_and_followed(windows, server):
    """By an English editor: rows, statuses and headings are German, the page around them is English; all is live."""
    editor = windows().sign_in()
    page = editor.page
    page.goto("/new-board/")
    page.get_by_label("Status page").check()
    page.get_by_label("Title").fill("Was läuft")
    page.get_by_label("Language").select_option(label="Deutsch")
    page.get_by_role("button", name="Make the board").click()
    page.wait_for_url("**/boards/was-lauft/", timeout=PATIENCE_MS)
    wall = windows()
    wall.page.goto("/boards/was-lauft/wall/")
    expect(wall.row("E-Mail")).to_be_visible()
    wall.page.evaluate("() => { window.isTheSamePage = true; }")

    editor.open("/boards/was-lauft/")
    expect(page.locator("html")).to_have_attribute("lang", "en-gb")
    expect(page.get_by_role("columnheader").first).to_have_text("Dienst")
    mail = editor.row("E-Mail")
    expect(mail.locator(".status-warning")).to_have_text("Gestört")
    page.get_by_role("link", name="Edit").click()
    mail.get_by_label("Status of").select_option(label="Ausgefallen")

    expect(wall.row("E-Mail").locator(".status-critical")).to_have_text("Ausgefallen")
    expect(wall.page.locator("html")).to_have_attribute("lang", "de")
    # Written by a program: neither page is loaded again.
    database = server.project.connect()
    database.execute(
        "UPDATE boards_board SET label_heading = 'System', shows_value = 0 WHERE slug = 'was-lauft'"
    )
    database.execute("UPDATE boards_boardstatus SET word = 'Steht still', icon = 'stop' WHERE name = 'down'")
    for window in (editor, wall):
        heading = window.page.locator(".entries-label")
        expect(heading).to_have_text("System")
        expect(window.page.locator(".entries-value")).to_be_hidden()
        expect(window.row("E-Mail").locator(".status-critical")).to_contain_text("Steht still")
        assert window.was_never_reloaded()
