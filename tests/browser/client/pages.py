"""The page of a test: the one of the test before, with a new document, unless something of that test outlives it."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import BrowserContext, Page

LASTING = (
    "add_init_script", "add_locator_handler", "emulate_media", "expose_binding", "expose_function", "on", "once",
    "route", "route_from_har", "route_web_socket", "set_default_navigation_timeout", "set_default_timeout",
    "set_extra_http_headers", "set_viewport_size",
)  # fmt: skip
"""Methods of a page whose effect outlives its document."""


class Pages:
    """Opens a page for each test; to the processor a new document costs a third of what a new page does.

    A page is not used again if a test has failed on it, has faked its clock, or has called one of ``LASTING``.
    ``errors`` has those of the consoles, since the last document was opened.
    """

    def __init__(self, context: BrowserContext) -> None:
        self.errors: list[str] = []
        self._context = context
        self._kept: Page | None = None
        self._is_changed = False
        context.on(
            "console", lambda message: self.errors.append(message.text) if message.type == "error" else None
        )
        context.on("weberror", lambda error: self.errors.append(str(error.error)))

    def open(self, address: str) -> Page:
        page, self._kept = self._kept or self._new(), None
        # At this event, and not before: until then the document of the test before is there.
        page.once("framenavigated", lambda frame: self.errors.clear())
        self._is_changed = False
        page.goto(address)
        return page

    def give_back(self, page: Page, *, passed: bool) -> None:
        if self._is_changed or not passed:
            page.close()
            return
        page.mouse.move(0, 0)  # what is opened next is not hovered
        page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
        self._kept = page

    def _new(self) -> Page:
        page = self._context.new_page()
        for owner, name in [*((page, name) for name in LASTING), (page.clock, "install")]:
            setattr(owner, name, self._noting(getattr(owner, name)))
        return page

    def _noting(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self._is_changed = True
            return method(*arguments, **options)

        return call
