"""The page client and the demo's scripts and styles as text: they need no browser newer than docs/feeds.md states."""

import re
from collections.abc import Iterator
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
        |groupBy|fromAsync|moveBefore|setHTML|setHTMLUnsafe|checkVisibility|getHTML|requestSubmit|showPopover
        |showPicker|showModal|throwIfAborted)\(
    |\bObject\.(?:hasOwn|groupBy)\b|\bMap\.groupBy\b|\bPromise\.(?:any|withResolvers|try)\b
    |\bAbortSignal\.(?:timeout|any|abort)\b|\bstructuredClone\b|\bWeakRef\b|\brandomUUID\b|\bscheduler\b
    |\bnavigation\.|\bcause:|\bCSSStyleSheet\(|\bCompressionStream\b|\bsupportedValuesOf\b|\breportError\b|\bstatic\s*\{|\bawait\s+using\b|\(\?<[=!]""",
    re.VERBOSE,
)


# An `AbortSignal` ends a listener from Chromium 88 on; older ones ignore it, and never end the listener.
SIGNAL = re.compile(r"\{[^{}]*\bsignal\b[^{}]*\}\s*,?\s*$")

# A browser that does not know a selector ignores the rule and all others of its list. Rules that it may ignore are
# those with `:has()` alone, which improve what works without them.
TOO_NEW_STYLE = re.compile(
    r""":(?:is|where|modal|open|user-valid|user-invalid|popover-open|dir|state)\b|:not\([^()]*,|:nth-child\([^()]*\bof\b
    |(?<![\w-])(?:aspect-ratio|accent-color|translate|rotate|scale|scrollbar-gutter|field-sizing|container
        |container-type|container-name|anchor-name|transition-behavior)\s*:
    |@(?:layer|container|scope|starting-style|property)\b|\b\d*\.?\d+[dsl]v(?:h|w|min|max|i|b)\b|\b\d+cq\w\b
    |\((?:width|height)\s*[<>=]|\b(?:oklch|oklab|lab|lch|hwb|color|round|mod|sin|cos|calc-size|attr)\(\s*from
    |\b(?:oklch|oklab|lab|lch)\(|[{};]\s*&|(?:,[^{}]*:has\(|:has\([^{}]*\)[^{}]*,)[^{}]*\{""",
    re.VERBOSE,
)


def too_new(script: str) -> list[str]:
    """Return what a script uses that the oldest browsers lack."""
    return TOO_NEW.findall(script) + [
        call for call in calls(script, "addEventListener") if SIGNAL.search(call)
    ]


def calls(script: str, name: str) -> Iterator[str]:
    """The arguments of each call of a method, as text."""
    for match in re.finditer(rf"\b{name}\(", script):
        depth, end = 1, match.end()
        while depth and end < len(script):
            depth += {"(": 1, ")": -1}.get(script[end], 0)
            end += 1
        yield script[match.end() : end - 1]


def style_of(path: Path) -> str:
    """Return a style without its comments."""
    return re.sub(r"/\*.*?\*/", "", (APP / path).read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_no_module_uses_what_the_oldest_supported_browsers_lack(module: Path) -> None:
    assert too_new((APP / module).read_text()) == []


@pytest.mark.parametrize("path", STYLES, ids=str)
def test_no_style_uses_what_the_oldest_supported_browsers_lack(path: Path) -> None:
    assert TOO_NEW_STYLE.findall(style_of(path)) == []


@pytest.mark.parametrize(
    "script",
    [
        'target.addEventListener("click", () => act(), { signal });',
        'target.addEventListener("click", () => {\n  act();\n}, { passive: true, signal: stop.signal },\n);',
        "rows.at(-1)",
        "structuredClone(rows)",
        "crypto.randomUUID()",
        "select.showPicker()",
        "dialog.showModal()",
        'throw new Error("no", { cause: error })',
    ],
)
def test_a_script_with_a_newer_function_is_found(script: str) -> None:
    assert too_new(script)


@pytest.mark.parametrize(
    "script",
    [
        'target.addEventListener("click", act, { once: true });',
        'signal.addEventListener("abort", () => stop(), { once: true });',
        "fetch(url, { signal })",
        "select.showPicker?.()",
    ],
)
def test_a_script_that_old_browsers_run_is_accepted(script: str) -> None:
    assert not too_new(script)


@pytest.mark.parametrize(
    "style",
    [
        "a:not(.b, .c) { color: red; }",
        ":is(a, b) { color: red; }",
        "a:where(.b) { color: red; }",
        "a, b:has(c) { color: red; }",
        "a:has(c),\nb { color: red; }",
        "a { aspect-ratio: 1; }",
        "a { accent-color: red; }",
        "a { rotate: 1deg; }",
        "a { height: 100dvh; }",
        "a { color: red; &:hover { color: blue; } }",
        "@layer a { b { color: red; } }",
        "@media (width >= 40rem) { a { color: red; } }",
        "a { color: oklch(0.5 0 0); }",
    ],
)
def test_a_style_with_a_newer_function_is_found(style: str) -> None:
    assert TOO_NEW_STYLE.search(style)


@pytest.mark.parametrize(
    "style",
    [
        "a:not(.b):not(.c) { color: red; }",
        "a:not(:has(b c)) { color: red; }",
        "@media (max-aspect-ratio: 1/1) { a { transform: rotate(1deg); inset: 0; } }",
        "a { grid-template-columns: repeat(2, minmax(0, 1fr)); } b:has(c) { color: red; }",
    ],
)
def test_a_style_that_old_browsers_apply_is_accepted(style: str) -> None:
    assert not TOO_NEW_STYLE.search(style)


@pytest.mark.parametrize("path", STYLES, ids=str)
def test_a_style_has_a_fallback_for_every_newer_colour_function(path: Path) -> None:
    """`light-dark()` and `color-mix()` stand inside of an `@supports` that asks for them."""
    outside = re.sub(r"@supports \(color: [^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", "", style_of(path))

    assert not re.search(r"light-dark\(|color-mix\(", outside)
