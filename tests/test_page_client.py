"""The page client as text: it needs no browser newer than docs/feeds.md states."""

import re
from pathlib import Path

import pytest

STATIC = Path(__file__).resolve().parents[1] / "realtime" / "static" / "realtime"
MODULES = sorted(path.relative_to(STATIC) for path in STATIC.rglob("*.js") if "inspector" not in path.parts)

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
    assert TOO_NEW.findall((STATIC / module).read_text()) == []


def test_the_style_has_a_fallback_for_every_newer_colour_function() -> None:
    """`light-dark()` and `color-mix()` stand inside of an `@supports` that asks for them."""
    style = (STATIC / "live.css").read_text()

    outside = re.sub(r"@supports \(color: [^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", "", style)
    outside = re.sub(r"/\*.*?\*/", "", outside, flags=re.DOTALL)

    assert not re.search(r"light-dark\(|color-mix\(", outside)
