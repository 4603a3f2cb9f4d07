"""The browser for the tests: an installed Chromium or Chrome; otherwise tries to install one.

``python -m tests.browser.chromium`` does this before the suite runs, and prints the path.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
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
    """Try Playwright's own download, then Debian's package; ``find`` shows whether it worked."""
    attempts = [[sys.executable, "-m", "playwright", "install", "chromium"]]
    if shutil.which("apt-get") and os.geteuid() == 0:
        attempts += [["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "chromium"]]
    for command in attempts:
        print("trying:", " ".join(command), flush=True)
        subprocess.run(command, check=False, timeout=900, stdout=subprocess.DEVNULL)
        if find():
            return


if __name__ == "__main__":
    if not find():
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
