"""WebKitGTK, by its own driver and Selenium; its browser needs a screen, which Xvfb is."""

import importlib.util
import os
import shutil
from pathlib import Path
from typing import Any, Self

from tests.browser.engines.tabs import Tab

BROWSERS = "/usr/lib/*/webkit2gtk-4.*/MiniBrowser"


class WebKitTab(Tab):
    def __init__(self, driver: Any, handle: str) -> None:
        self._driver, self._handle = driver, handle

    @property
    def _page(self) -> Any:
        """The driver, which has commands for one window at a time."""
        if self._driver.current_window_handle != self._handle:
            self._driver.switch_to.window(self._handle)
        return self._driver

    def open(self, url: str) -> None:
        self._page.get(url)

    def run(self, script: str) -> str:
        return str(self._page.execute_script(f"return {script}"))

    def type(self, text: str) -> None:
        self._page.switch_to.active_element.send_keys(text)

    def back(self) -> None:
        self._page.back()

    def close(self) -> None:
        self._page.close()
        self.is_closed = True
        self._driver.switch_to.window(self._driver.window_handles[0])


class WebKit:
    name = "WebKitGTK"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def missing(cls) -> str | None:
        needs = {
            "WebKitGTK (apt-get install webkit2gtk-driver)": shutil.which("WebKitWebDriver") and _browser(),
            "a screen (apt-get install xvfb)": os.environ.get("DISPLAY"),
            "Selenium (pip install -r tests/requirements-browsers.txt)": importlib.util.find_spec("selenium"),
        }
        return " and ".join(name for name, found in needs.items() if not found) or None

    def __enter__(self) -> Self:
        from selenium import webdriver

        options = webdriver.WebKitGTKOptions()
        options.binary_location = str(_browser())
        options.add_argument("--automation")
        service = webdriver.WebKitGTKService(
            shutil.which("WebKitWebDriver"), log_output=str(self._folder / "webkit.log"),
            env={**os.environ, "WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1"},
        )  # fmt: skip
        self._driver = webdriver.WebKitGTK(options=options, service=service)
        self.version = self._driver.capabilities["browserVersion"]
        return self

    def __exit__(self, *error: object) -> None:
        self._driver.quit()

    def tab(self) -> WebKitTab:
        """Open a tab; the first window stays, so that the browser goes on when all tabs are closed."""
        self._driver.switch_to.new_window("tab")
        return WebKitTab(self._driver, self._driver.current_window_handle)


def _browser() -> Path | None:
    return next(iter(sorted(Path("/").glob(BROWSERS[1:]))), None)
