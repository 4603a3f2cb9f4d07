"""Browser windows on the demo, for tests that use a real server."""

from typing import Any, Self

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect

from tests.support.servers import PASSWORD, Server

DEPARTURES = "/boards/departures/"
ROWS = "[data-rows] > [data-key]"
PATIENCE_MS = 45_000
"""How long a test waits for a state of a page: much longer than that takes on a machine that is not busy."""


class Window:
    """A browser window with a page of its own, and all errors of its console."""

    def __init__(self, browser: Browser, server: Server, **options: Any) -> None:
        self.context = browser.new_context(base_url=server.url, **options)
        self.page: Page = self.context.new_page()
        self.errors: list[str] = []
        self.page.on("console", self._keep_error)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.set_default_timeout(PATIENCE_MS)

    def open(self, path: str) -> Self:
        self.page.goto(path)
        expect(self.page.locator("live-status")).to_have_attribute("data-state", "live")
        self.page.evaluate("() => { window.isTheSamePage = true; }")
        return self

    def sign_in(self) -> Self:
        self.page.goto("/admin/")
        self.page.fill("#id_username", "editor")
        self.page.fill("#id_password", PASSWORD)
        self.page.click("[type=submit]")
        expect(self.page.locator("#user-tools")).to_be_visible()
        return self

    def _keep_error(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def entry(self, key: str) -> Locator:
        return self.page.locator(f"[data-rows] > [data-key='{key}']")

    def row(self, label: str) -> Locator:
        return self.page.locator(ROWS, has_text=label)

    @property
    def keys(self) -> list[str]:
        """The rows' keys, from top to bottom."""
        keys: list[str] = self.page.eval_on_selector_all(ROWS, "rows => rows.map(row => row.dataset.key)")
        return keys

    def was_never_reloaded(self) -> bool:
        return bool(self.page.evaluate("() => window.isTheSamePage === true"))
