"""A page without a server: the product's modules and elements, with the fakes of tests/browser/fakes."""

import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.client.pages import Pages
from tests.support.servers import ROOT

FOLDERS = {
    "/static/realtime/": ROOT / "realtime" / "static" / "realtime",
    "/fakes/": ROOT / "tests" / "browser" / "fakes",
}


class Files(SimpleHTTPRequestHandler):
    """Serves the page's modules and the fakes."""

    def translate_path(self, path: str) -> str:
        path = path.partition("?")[0]
        for prefix, folder in FOLDERS.items():
            if path.startswith(prefix):
                return str(folder / path.removeprefix(prefix))
        return "/nowhere"

    def end_headers(self) -> None:
        """Let the pages of one run, which share a cache, ask for each file once."""
        self.send_header("Cache-Control", "max-age=3600")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="package")
def site() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="package")
def pages(browser: Browser) -> Iterator[Pages]:
    """They share a context for its cache."""
    context = browser.new_context(timezone_id="Europe/Berlin", locale="en-GB")
    yield Pages(context)
    context.close()


@pytest.fixture
def errors(pages: Pages) -> list[str]:
    """Errors in the page's console; a test that provokes some removes them."""
    return pages.errors


@pytest.fixture
def page(request: pytest.FixtureRequest, pages: Pages, site: str, errors: list[str]) -> Iterator[Page]:
    """A page with fakes/page.js; nothing is connected yet."""
    failed = request.session.testsfailed
    page = pages.open(f"{site}/fakes/page.html")
    page.wait_for_selector("html[data-ready]")
    yield page
    pages.give_back(page, passed=request.session.testsfailed == failed)
    assert errors == []
