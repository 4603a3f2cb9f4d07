"""A wall: what an unattended screen shows, in today's browsers and in Chromium 87."""

import importlib.util
import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.browser.windows import DEPARTURES, PATIENCE_MS, Window
from tests.support import servers
from tests.support.servers import ROOT, Project, Server

WALL = f"{DEPARTURES}wall/"
SHOWN = ".wall-board:not([hidden])"
ENTRIES = f"{SHOWN} .entry"


@pytest.fixture(scope="module")
def server(prepared: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of this file."""
    project = servers.copy(prepared, tmp_path_factory.mktemp("wall") / "project", HEARTBEAT_SECONDS="2")
    with servers.running(project) as server:
        yield server


@pytest.fixture
def wall(windows: Callable[..., Window]) -> Callable[..., Page]:
    def open_wall(path: str = WALL, width: int = 1920, height: int = 1080, **options: Any) -> Page:
        page = windows(viewport=ViewportSize(width=width, height=height), **options).page
        page.goto(path)
        expect(page.locator("html[data-state='live']")).to_have_count(1)
        return page

    return open_wall


def shown(page: Page) -> list[str]:
    """Return the labels of the rows that are shown, from top to bottom."""
    labels: list[tuple[float, str]] = page.eval_on_selector_all(
        f"{ENTRIES}:not([hidden])",
        "rows => rows.map(row => [row.getBoundingClientRect().top, row.querySelector('th').textContent])",
    )
    return [label for _, label in sorted(labels)]


def is_within(page: Page, selector: str) -> bool:
    """Return whether each element of a kind lies inside the window, and its text inside of it."""
    return bool(
        page.evaluate(
            """(selector) => [...document.querySelectorAll(selector)].every((element) => {
                 const box = element.getBoundingClientRect();
                 return box.top >= 0 && box.left >= 0 && box.right <= innerWidth && box.bottom <= innerHeight;
               }) && document.documentElement.scrollWidth <= innerWidth""",
            selector,
        )
    )


SIZES = [(3840, 2160), (1920, 1080), (1280, 720), (1080, 1920), (768, 1024), (360, 640)]


def only_rows(database: sqlite3.Connection, count: int) -> None:
    """Let the departures have this number of rows."""
    database.execute("BEGIN IMMEDIATE")
    database.execute("DELETE FROM boards_entry WHERE board_id = 1 AND label LIKE 'Row %'")
    database.execute("UPDATE boards_entry SET is_visible = 0, is_pinned = 0 WHERE board_id = 1")
    for number in range(count):
        database.execute(
            "INSERT INTO boards_entry (board_id, position, label, value) VALUES (1, ?, ?, '12:34')",
            [1000 + number, f"Row {number:02}"],
        )
    database.execute("COMMIT")


def test_a_wall_fits_any_screen_and_any_number_of_rows(wall, server):
    """No row lies beyond the edge, text grows with the screen, few rows are large and many rows make pages."""
    database = server.project.connect()
    page = wall(f"{WALL}?seconds=3600")

    for count in [1, 12, 40]:
        only_rows(database, count)
        expect(page.locator(ENTRIES)).to_have_count(count)
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            page.wait_for_function("new Promise(requestAnimationFrame)")
            side = min(width, height)
            assert is_within(page, f"{ENTRIES}:not([hidden])")
            row = page.locator(f"{ENTRIES}:not([hidden])").first.bounding_box()
            assert row is not None
            assert row["height"] >= side / 18 - 1
            on_page = len(shown(page))
            assert page.locator(f"{SHOWN} .wall-page").is_visible() == (on_page < count)
            if on_page < count:
                pages = -(-count // on_page)
                assert page.locator(f"{SHOWN} .wall-page").text_content() == f"1/{pages}"
                assert row["height"] * on_page >= height / 2
    assert on_page < 12


def test_every_row_has_its_turn(wall, server):
    """40 rows on a small screen: all of them are shown, each once, in their order."""
    only_rows(server.project.connect(), 40)
    page = wall(f"{WALL}?seconds=3", 1280, 720)
    expect(page.locator(ENTRIES)).to_have_count(40)

    seen = shown(page)
    while len(seen) < 40:
        expect(page.locator(f"{ENTRIES}:not([hidden]) th", has_text=seen[-1])).to_have_count(0)
        seen += shown(page)

    assert seen == [f"Row {number:02}" for number in range(40)]


def test_pages_leave_out_no_row_while_rows_come_and_go(wall):
    """By key: whatever is inserted, removed or moved, the next page begins after the last row that was shown."""
    page = wall()

    pages = page.evaluate(
        """async () => {
             const { pageOf, wantedAfter } = await import("/static/boards/wall/pages.js");
             const rows = (text) => [...text].map((key) => ({ key, isPinned: key === "P" }));
             const first = pageOf(rows("Pabcdef"), 4);
             const next = (text) => {
               const now = rows(text);
               const shown = pageOf(now, 4, first.own);
               return pageOf(now, 4, wantedAfter(now, shown)).own.join("");
             };
             return {
               first: first.keys.join(""),
               label: `${first.number}/${first.count}`,
               unchanged: next("Pabcdef"),
               insertedBefore: next("Pxyzabcdef"),
               insertedWithin: next("Pabxcdef"),
               removedLast: next("Pabdef"),
               movedAway: next("Pbcdefa"),
               manyPinned: pageOf([..."abcdefgh"].map((key) => ({ key, isPinned: key < "g" })), 4).keys.join(""),
               none: pageOf([], 4).keys,
             };
           }"""
    )

    assert pages["first"] == "Pabc"
    assert pages["label"] == "1/2"
    assert pages["unchanged"] == "def"
    assert pages["insertedBefore"].startswith("def")
    assert pages["insertedWithin"].startswith("cde")
    assert pages["removedLast"].startswith(("d", "e"))
    assert "d" in pages["removedLast"] or pages["removedLast"].startswith("e")
    assert pages["movedAway"].startswith(("d", "e"))
    assert pages["manyPinned"] == "abcd"
    assert pages["none"] == []


def test_a_wall_follows_its_boards_in_turn(wall, server):
    """A pinned row is on top of each page; changes appear; boards without rows are left out; no control can be used."""
    database = server.project.connect()
    database.execute("DELETE FROM boards_entry WHERE board_id = 1 AND label LIKE 'Row %'")
    database.execute("UPDATE boards_entry SET is_visible = 1, is_pinned = (position = 50) WHERE board_id = 1")
    database.execute("UPDATE boards_board SET time_zone = 'Asia/Kathmandu' WHERE id = 1")
    database.execute("INSERT INTO boards_board (slug, title) VALUES ('empty', 'Nothing here')")

    page = wall(f"{WALL}?seconds=3&then=empty&then=server&then=unknown&dim_from=0&dim_until=24", 640, 360)

    # Not at once: the wall may show the next page already.
    page.wait_for_function(
        """selector => {
            const top = row => row.getBoundingClientRect().top;
            const [first] = [...document.querySelectorAll(selector)].sort((one, other) => top(one) - top(other));
            return first?.querySelector("th").textContent === "Harrow Bay";
        }""",
        arg=f"{ENTRIES}:not([hidden])",
        timeout=PATIENCE_MS,
    )
    database.execute("UPDATE boards_entry SET value = '23:59' WHERE board_id = 1 AND position = 50")
    expect(page.locator(f"{SHOWN} [data-pinned]")).to_contain_text("23:59")
    expect(page.locator(SHOWN)).to_contain_text("This server")
    expect(page.locator(SHOWN)).to_contain_text("Departures")
    assert page.locator(".wall-board", has_text="Nothing here").is_hidden()
    zone_minutes = page.evaluate("""() => {
        const [hour, minute] = document.querySelector(".wall-clock").textContent.split(":").map(Number);
        const now = new Date();
        return (hour * 60 + minute - now.getUTCHours() * 60 - now.getUTCMinutes() + 1440) % 1440;
    }""")
    assert abs(zone_minutes - 345) <= 1
    assert page.locator("a, button, input, select").count() == 0
    assert page.evaluate("getComputedStyle(document.body).cursor") == "none"


def test_without_scripts_a_wall_is_whole_and_loads_again(windows):
    page = windows(java_script_enabled=False).page

    page.goto(WALL)

    expect(page.locator("[data-key]").last).to_be_visible()
    assert page.locator("meta[http-equiv=refresh]").count() == 1


def test_a_wall_says_since_when_the_server_is_away(browser, prepared, tmp_path):
    """After 15 seconds, over the full width, and the rows move together so that none is covered."""
    project = servers.copy(prepared, tmp_path / "project", HEARTBEAT_SECONDS="2")
    with servers.running(project) as server:
        window = Window(browser, server, viewport=ViewportSize(width=1920, height=1080))
        page = window.page
        page.goto(WALL)
        expect(page.locator("html[data-state='live']")).to_have_count(1)

        server.stop()
        band = page.locator(".wall-band")
        expect(band).to_have_text(re.compile(r"^No connection since \d\d:\d\d$"))
        assert band.bounding_box()["width"] == 1920
        assert is_within(page, f"{ENTRIES}:not([hidden])")
        server.start()
        expect(band).to_be_hidden()
        window.context.close()


OLDEST = """(() => {
  const root = document.documentElement;
  if (root.dataset.state !== "live" || !document.querySelector(".status-critical")) return null;
  const colour = (selector) => getComputedStyle(document.querySelector(selector)).backgroundColor;
  return {
    colours: [".status-critical", ".status-ok", "body"].map(colour),
    overflows: root.scrollHeight > innerHeight || root.scrollWidth > innerWidth,
    shown: document.querySelectorAll(".entry:not([hidden])").length,
    changed: document.querySelector("[data-rows]").textContent.includes("changed by another program"),
    isFull: document.querySelector("[data-rows]").getBoundingClientRect().bottom > innerHeight * 0.8,
  };
})()"""


def test_chromium_87_shows_a_wall(server):
    """The oldest browser that docs/feeds.md states: rows, colours, changes, and nothing in its console."""
    if importlib.util.find_spec("PyQt5") is None:
        pytest.skip("NOT TESTED IN CHROMIUM 87: no PyQtWebEngine for this machine")
    database = server.project.connect()
    database.execute("DELETE FROM boards_entry WHERE board_id = 1 AND label LIKE 'Row %'")
    database.execute("UPDATE boards_entry SET is_visible = 1 WHERE board_id = 1")
    database.execute("UPDATE boards_entry SET note = '' WHERE board_id = 1 AND position = 10")
    command = [sys.executable, "-m", "tests.browser.webengine", server.url + WALL, "1920", "1080"]
    script = f"(value => (value && value.changed ? value : null))({OLDEST})"
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )

    database.execute(
        "UPDATE boards_entry SET note = 'changed by another program' WHERE board_id = 1 AND position = 10"
    )
    output, errors = process.communicate(script, timeout=PATIENCE_MS / 1000 + 60)

    assert process.returncode == 0, errors
    found = json.loads(output)
    assert "Chrome/87." in found["agent"]
    assert found["console"] == []
    assert found["value"] == {
        "colours": ["rgb(179, 38, 30)", "rgb(213, 239, 221)", "rgb(242, 240, 233)"],
        "overflows": False,
        "shown": 12,
        "changed": True,
        "isFull": True,
    }
