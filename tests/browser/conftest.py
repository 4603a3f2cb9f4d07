"""A real Chromium, and a server for its pages."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser import chromium
from tests.browser.proxy import Proxy
from tests.browser.windows import PATIENCE_MS, Window
from tests.support import servers
from tests.support.projects import Project, prepared, project  # noqa: F401
from tests.support.servers import Server

expect.set_options(timeout=PATIENCE_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


# Not "session": while Playwright's event loop exists, no asynchronous test can run in this thread.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    executable = chromium.find()
    if executable is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no Chromium: in CI the browser tests must run")
        pytest.skip("no Chromium or Chrome installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=chromium.ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def server(project: Project) -> Iterator[Server]:  # noqa: F811
    with servers.running(project) as server:
        yield server


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    """A proxy in front of the server; what it blocks is the test's choice."""
    proxy = Proxy(server.port)
    yield proxy
    proxy.close()


@pytest.fixture
def windows(browser: Browser, server: Server) -> Iterator[Callable[..., Window]]:
    """Opens a window; at the end no console may have shown an error."""
    opened: list[Window] = []

    def open_window(**options: Any) -> Window:
        opened.append(Window(browser, server, **options))
        return opened[-1]

    yield open_window
    for window in opened:
        assert window.errors == []
        window.context.close()
    assert "Traceback" not in server.log.read_text()
