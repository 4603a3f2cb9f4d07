"""Chromium, by Playwright: the engine that all other tests of pages use, as the measure of the story itself."""

from pathlib import Path
from typing import Self

from playwright.sync_api import Page, sync_playwright

from tests.browser import chromium
from tests.browser.engines.tabs import Tab


class ChromiumTab(Tab):
    def __init__(self, page: Page) -> None:
        self._page = page

    def open(self, url: str) -> None:
        self._page.goto(url)

    def run(self, script: str) -> str:
        return str(self._page.evaluate(script))

    def type(self, text: str) -> None:
        self._page.keyboard.type(text)

    def back(self) -> None:
        self._page.go_back()

    def close(self) -> None:
        self._page.close()
        self.is_closed = True


class Chromium:
    name = "Chromium"

    def __init__(self, folder: Path) -> None:
        pass

    @classmethod
    def missing(cls) -> str | None:
        return None if chromium.find() else "Chromium (apt-get install chromium)"

    def __enter__(self) -> Self:
        self._playwright = sync_playwright().start()
        browser = self._playwright.chromium.launch(executable_path=chromium.find(), args=chromium.ARGUMENTS)
        self.version = browser.version
        self._context = browser.new_context()
        return self

    def __exit__(self, *error: object) -> None:
        self._playwright.stop()

    def tab(self) -> ChromiumTab:
        return ChromiumTab(self._context.new_page())
