"""Parts of a page that are fetched again with it, in Chromium: per user, by its address, exact, bounded."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.windows import Window
from tests.support import servers
from tests.support.servers import Project, Server

PAGE = "/blocks/?page=2"


@pytest.fixture
def server(prepared: Project, tmp_path) -> Iterator[Server]:
    environment = {"DJANGO_SETTINGS_MODULE": "tests.apps.blocks.settings", "HEARTBEAT_SECONDS": "2"}
    with servers.running(servers.copy(prepared, tmp_path / "project", **environment)) as server:
        yield server


def test_each_user_sees_what_its_own_page_would_show(windows: Callable[..., Window], server: Server) -> None:
    """The query of the user, the page of the list and the search are those of the address; what is typed stays."""
    editor, stranger = windows().sign_in().open(PAGE), windows().open("/blocks/?q=a")
    summaries = [window.page.locator("[data-realtime-block=summary]") for window in (editor, stranger)]
    counts = [int(summary.inner_text().split()[-1]) for summary in summaries]
    items = stranger.page.locator("li[id]").count()
    note = editor.page.get_by_label("Note")
    note.fill("typed")
    fourth = editor.page.locator("li").first.get_attribute("id")
    assert fourth

    database = server.project.connect()
    database.execute("UPDATE boards_entry SET label = 'bbb', is_visible = 0 WHERE id = ?", [fourth[1:]])
    database.execute(
        "DELETE FROM boards_entry WHERE id = (SELECT min(id) FROM boards_entry WHERE board_id = 1)"
    )

    expect(summaries[0]).to_have_text(f"editor sees {counts[0] - 1}")
    expect(editor.page.locator("li", has_text="bbb")).to_have_count(0)  # now on page 1
    expect(editor.page.get_by_text("Page 2 of")).to_be_visible()
    expect(note).to_have_value("typed")
    expect(note).to_be_focused()
    expect(stranger.page.locator("li", has_text="bbb")).to_have_count(0)
    assert counts[1] > 0
    assert items > 0
    for window in (editor, stranger):
        shown = window.page.locator("main").inner_text
        followed = shown()
        assert window.was_never_reloaded()
        window.page.reload()
        assert shown() == followed


def test_a_change_between_rendering_and_subscribing_is_fetched(
    windows: Callable[..., Window], server: Server
) -> None:
    """And without one nothing is fetched: the page names the position from before its view."""
    viewer = windows().open(PAGE)  # the first page of a process has no position
    fetched: list[str] = []
    viewer.page.on("request", lambda request: fetched.append(request.headers.get("realtime-block", "")))
    viewer.open(PAGE)
    viewer.page.evaluate("() => new Promise((resolve) => realtime.on('heartbeat', resolve))")
    assert not any(fetched)
    database = server.project.connect()

    def write_first(route) -> None:
        database.execute("UPDATE boards_entry SET label = 'in between ' || id")
        route.continue_()

    viewer.page.route("**/live.min.js", write_first)
    viewer.page.goto(PAGE)

    expect(viewer.page.locator("li", has_text="in between")).to_have_count(3)
    assert [each for each in fetched if each] == ["summary,list"]


def test_fast_changes_are_fetched_once_a_second(windows: Callable[..., Window], server: Server) -> None:
    viewer = windows().open("/blocks/")
    viewer.page.evaluate("() => { performance.clearResourceTimings(); }")
    database = server.project.connect()

    fetches = "performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('/blocks/'))"
    number = 0
    while viewer.page.evaluate(f"() => {fetches}.length") < 4:
        number += 1
        database.execute("UPDATE boards_entry SET label = 'change ' || ? WHERE board_id = 1", [number])

    expect(viewer.page.locator("li", has_text=f"change {number}")).to_have_count(3)
    starts = viewer.page.evaluate(f"() => {fetches}.map(({{ startTime }}) => startTime)")
    # The browser notes a fetch some time after the page has asked for it, the first one perhaps a second after.
    assert starts[-1] - starts[0] > 2000


def test_a_view_that_fails_leaves_the_old_block_marked(
    windows: Callable[..., Window], server: Server
) -> None:
    viewer = windows().open("/blocks/")
    block, badge = viewer.page.locator("[data-realtime-block=list]"), viewer.page.locator("live-status")
    expect(badge).to_have_attribute("data-state", "live")
    viewer.page.wait_for_load_state("networkidle")  # a request under way would have the rows and no failure
    fails = server.project.folder / "fails"
    fails.touch()

    server.project.connect().execute("UPDATE boards_entry SET label = 'after the failure' WHERE board_id = 1")

    expect(block).to_have_attribute("data-realtime-stale", "the page answers 500")
    expect(badge).to_have_attribute("data-state", "stale")
    expect(viewer.page.locator("li", has_text="after the failure")).to_have_count(0)
    expect(viewer.page.locator("li")).to_have_count(3)
    fails.unlink()
    expect(viewer.page.locator("li", has_text="after the failure")).to_have_count(3)
    expect(badge).to_have_attribute("data-state", "live")
    viewer.errors[:] = [error for error in viewer.errors if "500" not in error]
