"""Each test here runs in each engine; ``make browsers`` sets BROWSERS, without which nothing here is collected."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.browser.client.conftest import site  # noqa: F401
from tests.browser.engines.chromium import Chromium
from tests.browser.engines.firefox import Firefox
from tests.browser.engines.tabs import Engine, Tab
from tests.browser.engines.webkit import WebKit

collect_ignore_glob = [] if os.environ.get("BROWSERS") else ["test_*.py"]

ENGINES: list[Any] = [Chromium, Firefox, WebKit]


@pytest.fixture(scope="package", params=ENGINES, ids=lambda engine: engine.name)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    if missing := request.param.missing():
        pytest.skip(f"{request.param.name} NOT TRIED, without {missing}")
    with request.param(tmp_path_factory.mktemp(request.param.name)) as engine:
        print(f"{engine.name} {engine.version}")
        yield engine


@pytest.fixture
def open_tab(engine: Engine) -> Iterator[Callable[[str], Tab]]:
    """A function that opens a tab on an address; all tabs are closed at the end."""
    opened: list[Tab] = []

    def open_one(url: str) -> Tab:
        tab = engine.tab()
        opened.append(tab)
        tab.open(url)
        return tab

    yield open_one
    for tab in opened:
        if not tab.is_closed:
            tab.close()
