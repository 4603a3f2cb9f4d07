"""Entries with times: what an editor does, and what a viewer, a wall and a page without scripts show."""

import re
from datetime import UTC, datetime, timedelta

from playwright.sync_api import Locator, expect

from tests.browser.windows import DEPARTURES


def in_words(time: Locator) -> str:
    """Return what a ``<board-time>`` shows."""
    return str(time.evaluate("element => element.shadowRoot.textContent"))


def test_times_are_edited_on_the_board_and_followed_by_viewers(windows, server):
    """A time says how soon it is by the server's clock; entries come and go; a sorted board sorts itself."""
    database = server.project.connect()
    now = datetime.now(UTC)
    database.execute("UPDATE boards_board SET time_zone = 'Asia/Kathmandu', hides_after = 60 WHERE id = 1")
    soon = (now + timedelta(minutes=30, seconds=50)).isoformat(" ")
    database.execute("UPDATE boards_entry SET at = ?, value = '' WHERE id = 1", [soon])
    # Two hours wrong: what is shown does not follow the clock of the viewer.
    viewer, wall, plain = windows(), windows(), windows(java_script_enabled=False)
    viewer.page.clock.install(time=now + timedelta(hours=2))
    viewer.open(DEPARTURES)
    wall.page.goto(f"{DEPARTURES}wall/?seconds=3600")

    time = viewer.entry("1").locator("board-time")
    expect(time.get_by_text(re.compile(r"in \d\d min"))).to_be_visible()
    minutes = int(re.findall(r"in (\d+) min", in_words(time))[0])
    assert 25 <= minutes <= 30
    expect(
        wall.page.locator("[data-key='1'] board-time").get_by_text(re.compile("in .* min"))
    ).to_be_visible()
    plain.page.goto(DEPARTURES)
    expect(plain.entry("1").locator("time").first).to_have_text(re.compile(r"^\w{3} \d+ \w{3} \d\d:\d\d$"))

    editor = windows().sign_in().open(DEPARTURES)
    editor.page.get_by_role("link", name="Edit").click()
    editor.entry("2").get_by_role("button", name="Times of").click()
    dialog = editor.page.get_by_role("dialog")
    dialog.get_by_label("Show it from").fill("2090-01-01T08:40")
    dialog.get_by_role("button", name="Save").click()
    for window in (viewer, editor):
        expect(window.entry("2")).to_have_count(0)
    expect(wall.page.locator("[data-key='2']")).to_have_count(0)
    editor.page.get_by_role("button", name="Undo").first.click()
    expect(viewer.entry("2")).to_be_visible()

    # A time in the clock's own words, refused where no clock shows it.
    database.execute("UPDATE boards_board SET time_zone = 'Europe/Oslo' WHERE id = 1")
    editor.entry("3").get_by_role("button", name="Times of").click()
    dialog.get_by_label("Time", exact=True).fill("2026-03-29T02:30")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("There is no 02:30 on 29 March 2026 in Europe/Oslo")
    dialog.get_by_role("button", name="Cancel").click()

    # What happens before the first entry is first, when the board is sorted by time, without any write of its position.
    earlier = (now + timedelta(minutes=5)).isoformat(" ")
    database.execute("UPDATE boards_entry SET at = ? WHERE id = 5", [earlier])
    database.execute("UPDATE boards_board SET sorting = 'time' WHERE id = 1")
    viewer.page.wait_for_function(
        "() => [...document.querySelectorAll('[data-rows] > [data-key]')].slice(0, 2)"
        ".map(row => row.dataset.key).join() === '5,1'"
    )
    database.execute("UPDATE boards_board SET hides_after = NULL WHERE id = 1")
    gone = (now + timedelta(seconds=3)).isoformat(" ")
    database.execute("UPDATE boards_entry SET shows_until = ? WHERE id = 5", [gone])
    expect(viewer.entry("5")).to_have_count(0)
    assert viewer.was_never_reloaded()
