"""The operators' page in a real browser: it follows processes that start and stop, and what it does arrives."""

import contextlib
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, TimeoutError, expect

from tests.browser.windows import DEPARTURES, Window
from tests.support import servers
from tests.support.projects import Project
from tests.support.servers import Server

PAGE = "/admin/realtime/processreport/"
WARNING = "Nothing is published"


@pytest.fixture
def lone(prepared: Project, tmp_path) -> Iterator[Server]:
    """A server that does not publish; nothing else does."""
    settings = {"HEARTBEAT_SECONDS": "2", "DRAIN_SECONDS": "1", "LEASE_SECONDS": "1", "PUBLISHER": "off"}
    project = servers.copy(prepared, tmp_path / "project", **settings)
    project.connect().execute("UPDATE auth_user SET is_superuser = 1 WHERE username = 'editor'")
    with servers.running(project) as server:
        yield server


def test_an_operator_follows_processes_and_instructs_them(browser: Browser, lone: Server) -> None:
    """Where nothing is published the page reads the database; from a publisher on it is live."""
    operator = Window(browser, lone).sign_in()
    page = operator.page
    page.goto(PAGE)
    expect(page.get_by_text(WARNING)).to_be_visible()
    expect(page.locator("tr[id^='process-']")).to_have_count(1)
    expect(page.locator("tr[id='transport-websocket'] td")).to_have_text("1")  # it goes on by itself

    publishing = Project(lone.project.folder, **{**lone.project.environment, "PUBLISHER": "on"})
    with servers.running(publishing) as other:
        expect(page.get_by_text(WARNING)).to_have_count(0)
        expect(page.locator("tr[id^='process-']")).to_have_count(2)
        expect(page.locator(".operators-tag", has_text="publishes")).to_have_count(1)

        viewer = Window(browser, other).open(DEPARTURES)
        expect(page.locator("tr[id='topic-entries.1'] td").first).to_have_text("1")
        viewer.page.evaluate("window.isTheSamePage = true")
        page.click("text=Reload all pages")
        expect(page.get_by_text("Reload the page behind all connections of all processes?")).to_be_visible()
        page.click("text=/^Yes,/")
        expect(page.get_by_text("Pages are reloaded")).to_be_visible()
        viewer.page.wait_for_function("() => window.isTheSamePage === undefined && window.realtime")
        expect(viewer.page.locator("live-status")).to_have_attribute("data-state", "live")

        viewer.page.evaluate(
            "() => { window.codes = []; realtime.on('bye', ({ code }) => window.codes.push(code)); }"
        )
        assert other.process is not None
        row = page.locator("tr[id^='process-']", has_text=f":{other.process.pid}:")
        yes = page.locator("text=/^Yes,/")
        for _ in range(5):
            row.get_by_role("button", name="Close").click()
            with contextlib.suppress(
                TimeoutError
            ):  # the operator's own page may be reloaded in this moment, too
                yes.wait_for(timeout=10_000)
                break
        yes.click()
        viewer.page.wait_for_function("() => window.codes[0] === 4510")
        expect(viewer.page.locator("live-status")).to_have_attribute("data-state", "live")
        assert viewer.errors == []
        viewer.context.close()

    expect(page.get_by_text(WARNING)).to_be_visible()
    expect(page.locator("tr[id^='process-']")).to_have_count(1)
    assert operator.errors == []
    operator.context.close()
