"""The guides of docs/howto, followed literally in the tutorial's project: every block, then what each page promises."""

import base64
import contextlib
import json
import re
import sqlite3
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.test_tutorial import Reader, parts
from tests.browser.windows import PATIENCE_MS
from tests.install.conftest import installed, wheel  # noqa: F401
from tests.support import npm_package
from tests.support.servers import ROOT

PAGES = sorted(set((ROOT / "docs" / "howto").glob("*.md")) - {ROOT / "docs" / "howto" / "index.md"})
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PACKAGES = ROOT / ".venv" / "javascript" / "node_modules"

NPM = """#!/bin/sh
shift
for name in "$@"; do
  mkdir -p "node_modules/$(dirname $name)"
  [ -e "node_modules/$name" ] || ln -s "{packages}/$name" "node_modules/$name"
done
"""
NPX = """#!/bin/sh
program=$1; shift
exec {packages}/.bin/$program "$@"
"""
PIP = """#!/bin/sh
exec {python} -c "import rest_framework"
"""
"""Each package is installed where tests run, as the versions of tests/ say; named packages must be there."""


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory, installed: Path) -> Iterator[Reader]:  # noqa: F811
    """The tutorial's project with all guides in it, and its server."""
    if not (PACKAGES / "@hotwired" / "turbo").exists():
        pytest.skip("the libraries are not installed: make check")
    reader = Reader(tmp_path_factory.mktemp("howto"), installed, None)
    for part in parts(is_postgresql=False):
        if isinstance(part, str) and "## 7." in part:
            break
        if isinstance(part, tuple) and part[0] != "text" and "runserver" not in part[1]:
            reader.follow(*part)
    npm_package.write(reader.folder / "node_modules" / "django-tidemark")
    reader.program("npm", NPM, packages=PACKAGES)
    reader.program("npx", NPX, packages=PACKAGES)
    reader.program("pip", PIP)
    for page in PAGES:
        for language, text in BLOCK.findall(page.read_text()):
            reader.follow(language, text)
    reader.follow("sh", "python manage.py runserver --noreload")
    yield reader
    reader.stop()
    assert "Traceback" not in reader.log()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(locale="de-DE")
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    yield page
    context.close()


@pytest.fixture
def url(reader: Reader) -> str:
    return f"http://127.0.0.1:{reader.port}"


@pytest.fixture
def write(reader: Reader) -> Callable[[str], None]:
    """A function that runs SQL as another program, without Django."""

    def run(assignment: str) -> None:
        with (
            contextlib.closing(sqlite3.connect(reader.folder / "db.sqlite3", timeout=60)) as database,
            database,
        ):
            database.execute(f"UPDATE shop_product SET {assignment}")

    return run


def test_what_is_typed_in_a_row_of_a_table_stays_until_it_is_saved(page, url, write):
    write("stock = 5, price = 99")
    page.goto(f"{url}/stock/")
    expect(page.locator("live-status")).to_have_attribute("data-state", "live")
    stock = page.get_by_label("Stock of Anchor")
    stock.fill("7")

    write("price = 80")

    expect(page.locator("tbody td").nth(1)).to_have_text("80.00")
    expect(stock).to_have_value("7")
    page.get_by_role("button", name="Save").click()
    expect(stock).to_have_value("7")
    write("stock = 6")
    expect(stock).to_have_value("6")


def test_htmx_alpine_and_turbo_go_on_in_live_rows(page, url, write):
    write("stock = 5, price = 99")
    page.goto(f"{url}/counter/")
    expect(page.locator("live-status")).to_have_attribute("data-state", "live")
    page.evaluate("() => { window.isTheSamePage = true; }")
    page.get_by_role("button", name="More").click()

    page.get_by_role("button", name="Sell one").click()
    expect(page.get_by_text("4 left")).to_be_visible()
    write("price = 70")
    expect(page.get_by_text("It costs 70.00.")).to_be_visible()

    page.get_by_role("link", name="All products").click()
    expect(page.get_by_text("4 in stock")).to_be_visible()
    write("stock = 3")
    expect(page.get_by_text("3 in stock")).to_be_visible()
    expect(page.locator("live-status")).to_have_attribute("data-state", "live")
    assert page.evaluate("window.isTheSamePage")


def test_components_of_react_and_vue_follow_the_rows(page, url, write):
    write("stock = 5")
    page.goto(f"{url}/components/")
    for place in ("#react", "#vue"):
        expect(page.locator(f"{place} li")).to_have_text(["Anchor: 5"])
    expect(page.locator("#react ul")).to_have_attribute("data-state", "live")

    write("stock = 4")

    for place in ("#react", "#vue"):
        expect(page.locator(f"{place} li")).to_have_text(["Anchor: 4"])


def test_what_an_api_writes_is_live_and_its_tickets_open_connections(page, url, write):
    write("stock = 5")
    page.goto(f"{url}/")
    expect(page.get_by_text("5 in stock")).to_be_visible()

    ask(f"{url}/api/products/1/", "PATCH", {"stock": 2})

    expect(page.get_by_text("2 in stock")).to_be_visible()
    ticket = ask(f"{url}/api/ticket/", "POST", {})["ticket"]
    rows = ask(f"{url}/realtime/topics/products/?ticket={ticket}", "GET", None)["messages"][0]["rows"]
    assert [each["row"]["stock"] for each in rows] == [2]


def test_a_program_follows_with_the_tickets_of_an_api(reader, url, write):
    write("stock = 5")
    credentials = base64.b64encode(b"admin:a-password-for-tests").decode()
    program = subprocess.Popen(
        [sys.executable, "shop/follow_products.py", url, f"Basic {credentials}"],
        cwd=reader.folder, env=reader.environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert program.stdout is not None
        first = program.stdout.readline()
        write("stock = 1")
        second = program.stdout.readline()
    finally:
        program.kill()
        program.communicate()

    assert "'stock': 5" in first
    assert "'stock': 1" in second


def ask(url: str, method: str, data: Any) -> Any:
    """Send JSON as the user of the tutorial, by a password instead of a browser's cookies."""
    at = urllib.parse.urlsplit(url)
    headers = {"Content-Type": "application/json", "Origin": f"{at.scheme}://{at.netloc}"}
    if data is not None:
        headers["Authorization"] = "Basic " + base64.b64encode(b"admin:a-password-for-tests").decode()
    body = None if data is None else json.dumps(data).encode()
    request = urllib.request.Request(url, body, headers, method=method)
    with urllib.request.urlopen(request, timeout=PATIENCE_MS / 1000) as answer:
        return json.load(answer)


def test_rows_are_in_the_language_of_the_page(page, url, write):
    write("price = 99.5")
    page.goto(f"{url}/prices/")
    expect(page.get_by_text("Anchor, 99,50")).to_be_visible()

    write("price = 88.5")

    expect(page.get_by_text("Anchor, 88,50")).to_be_visible()


def test_every_block_of_the_guides_is_followed():
    """Otherwise one would be left out without a word."""
    for page in PAGES:
        text = page.read_text()
        assert text.count("\n```") == 2 * len(BLOCK.findall(text)), page.name
        assert {language for language, _ in BLOCK.findall(text)} <= {
            "sh", "diff", "python", "django", "jsx", "js",
        }  # fmt: skip
