"""The page client and the demo's scripts and styles as text: they need no browser newer than docs/feeds.md states."""

import re
from pathlib import Path

import pytest

APP = Path(__file__).resolve().parents[1] / "realtime"
STATIC = [APP / "static" / "realtime", APP / "boards" / "static" / "boards"]
MODULES = sorted(
    path.relative_to(APP)
    for folder in STATIC
    for path in folder.rglob("*.js")
    if "inspector" not in path.parts
)
STYLES = sorted(
    path.relative_to(APP) for folder in STATIC for path in folder.glob("*.css") if ".min." not in path.name
)

# Newer than Chromium 87, Safari 15 or Firefox 90. TypeScript finds those of the language, by `lib` in
# tests/javascript/jsconfig.json; this list also has those of the browser.
TOO_NEW = re.compile(
    r"""\.(?:at|toSorted|toReversed|toSpliced|with|findLast|findLastIndex|isWellFormed|union|intersection|difference
        |groupBy|fromAsync|moveBefore|setHTML|setHTMLUnsafe|checkVisibility|getHTML|requestSubmit|showPopover)\(
    |\bObject\.(?:hasOwn|groupBy)\b|\bMap\.groupBy\b|\bPromise\.(?:any|withResolvers|try)\b
    |\bAbortSignal\.(?:timeout|any|abort)\b|\bstructuredClone\b|\bWeakRef\b|\brandomUUID\b|\bscheduler\b
    |\bnavigation\.|\breportError\b|\bstatic\s*\{|\bawait\s+using\b|\(\?<[=!]""",
    re.VERBOSE,
)


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_no_module_uses_what_the_oldest_supported_browsers_lack(module: Path) -> None:
    assert TOO_NEW.findall((APP / module).read_text()) == []


@pytest.mark.parametrize("path", STYLES, ids=str)
def test_a_style_has_a_fallback_for_every_newer_colour_function(path: Path) -> None:
    """`light-dark()` and `color-mix()` stand inside of an `@supports` that asks for them."""
    style = (APP / path).read_text()

    outside = re.sub(r"@supports \(color: [^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", "", style)
    outside = re.sub(r"/\*.*?\*/", "", outside, flags=re.DOTALL)

    assert not re.search(r"light-dark\(|color-mix\(", outside)
