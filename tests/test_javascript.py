"""The browser's modules import one way: from the entry point down to the protocol (docs/architecture.md)."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "realtime" / "static" / "realtime"

LAYERS = {
    "frameworks": 7,
    "live.js": 6,
    "early.js": 6,
    "client.js": 5,
    "elements": 4,
    "realtime.js": 3,
    "status.js": 2,
    "reload.js": 2,
    "topics": 1,
    "transports": 1,
    "inspector": 1,
    "protocol": 0,
    "texts.js": 0,
}
"""A module may import from its own folder and from lower layers."""

PACKAGES = {"frameworks": ["react", "vue"]}
"""The packages that the modules of a folder import by name: bundlers find them."""

COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
MODULES = sorted(path for path in ROOT.rglob("*.js") if not path.name.endswith(".min.js"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def folder(path: Path) -> str:
    return path.relative_to(ROOT).parts[0]


def imported(source: str) -> Iterator[str]:
    """Yield the addresses that a module imports from; imports of types in comments count too."""
    yield from re.findall(r'\bfrom "([^"]+)"', source)
    yield from re.findall(r'\bimport\("([^"]+)"\)', source)
    yield from re.findall(r'^import "([^"]+)"', source, re.MULTILINE)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_from_its_folder_and_lower_layers(path: Path) -> None:
    """So that each folder can be understood and tested without those above it."""
    for address in imported(path.read_text()):
        if address in PACKAGES.get(folder(path), []):
            continue
        target = (path.parent / address).resolve()
        assert target.is_file(), f"{address} does not exist; browsers need relative addresses with .js"
        assert folder(target) == folder(path) or LAYERS[folder(target)] < LAYERS[folder(path)], address


def test_imports_form_no_circle() -> None:
    """Imports of types do not count: they are in comments."""
    graph = {
        path: {(path.parent / address).resolve() for address in imported(COMMENT.sub("", path.read_text()))}
        for path in MODULES
    }

    leaves: set[Path] | None = None
    while leaves != set():
        leaves = {path for path, targets in graph.items() if not targets & graph.keys()}
        for path in leaves:
            del graph[path]

    assert graph == {}


def test_the_reader_of_imports_finds_all_kinds() -> None:
    """Otherwise the tests above would pass whatever is imported."""
    source = (
        '/** @import { A } from "./a.js" */\nimport { B } from "./b.js";\nimport "./c.js";\n'
        'export { D } from "./d.js";\n/** @param {import("./e.js").E} e */\nimport {\n  F,\n} from "./f.js";\n'
    )

    assert [*imported(source)] == ["./a.js", "./b.js", "./d.js", "./f.js", "./e.js", "./c.js"]
    assert [*imported(COMMENT.sub("", source))] == ["./b.js", "./d.js", "./f.js", "./c.js"]
