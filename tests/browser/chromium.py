"""The browser for the tests: an installed Chromium or Chrome; otherwise tries to install one.

``python -m tests.browser.chromium`` does this before the suite runs, and prints the path.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

SHELL = "chromium-headless-shell"
"""Debian's package of Chromium without windows: the same engine, for two thirds of the processor's time."""
NAMES = (SHELL, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def find() -> str | None:
    """Return the path of a browser; None if none is installed."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def install() -> None:
    """Try Debian's package without windows, Playwright's own download and Debian's Chromium, until there is one."""
    apt = ["apt-get", "install", "-y", "-qq"] if shutil.which("apt-get") and os.geteuid() == 0 else None
    if apt and not _try(*apt, SHELL) and _try("apt-get", "update", "-qq"):
        _try(*apt, SHELL)
    if not find():
        _try(sys.executable, "-m", "playwright", "install", "chromium")
    if apt and not find():
        _try(*apt, "chromium")


def _try(*command: str) -> bool:
    print("trying:", " ".join(command), flush=True)
    with contextlib.suppress(subprocess.TimeoutExpired):
        return not subprocess.run(command, check=False, timeout=900, stdout=subprocess.DEVNULL).returncode
    return False


if __name__ == "__main__":
    if not shutil.which(SHELL):
        install()
    browser = find()
    if browser:
        print(f"browser tests run in {browser}")
    elif os.environ.get("CI") == "true":
        sys.exit("no Chromium found and none could be installed: in CI the browser tests must run")
    else:
        print("=" * 100)
        print(
            "NO BROWSER: the browser tests are SKIPPED. Install Chromium or Chrome and run `make test` again."
        )
        print("=" * 100)
