"""Imports run one way, from the project's wiring down to the pure protocol: the layers of docs/architecture.md."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

LAYERS = [
    ["config", "realtime.boards"],
    [
        f"realtime.{name}"
        for name in (
            "routing",
            "asgi",
            "urls",
            "apps",
            "admin",
            "checks",
            "management",
            "templatetags",
            "testing",
        )
    ],
    [
        "realtime.transports",
        "realtime.consumers",
        "realtime.views",
        "realtime.middleware",
        "realtime.backends",
    ],
    ["realtime.service", "realtime.operators"],
    ["realtime.delivery"],
    ["realtime.publishing", "realtime.access", "realtime.notices", "realtime.presence"],
    [f"realtime.{name}" for name in ("feeds", "changes", "rows", "models", "servers", "actions", "schedule")],
    [f"realtime.{name}" for name in ("databases", "engine", "runtime", "conf", "log_filters", "client")],
]
"""A module may import from its own layer and from those below it."""

PUBLIC: dict[str, set[str]] = {
    "realtime.client": set(),
    "realtime.testing": {"importlib.import_module", "typing.TYPE_CHECKING"},
}
"""Packages that programs import names from, and their imports beside their own modules."""


def layer(module: str) -> int | None:
    """Return the number of the layer that a module is in, 0 for the topmost; None for foreign modules."""
    found = [
        (len(name), number)
        for number, names in enumerate(LAYERS)
        for name in names
        if module == name or module.startswith(f"{name}.")
    ]
    return max(found)[1] if found else None


def modules(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "migrations" not in path.parts)


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imported(path: Path) -> list[str]:
    """Return the full names of what a module imports, wherever in it the import stands."""
    return list(_imported(path))


def _imported(path: Path) -> Iterator[str]:
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            origin = ".".join([*base, *([node.module] if node.module else [])])
            # `from . import log` imports a module, `from .log import tail` a name in one: both begin alike.
            yield from (f"{origin}.{alias.name}" for alias in node.names)


OURS = [*modules(ROOT / "realtime"), *modules(ROOT / "config")]


def test_a_module_imports_nothing_from_a_higher_layer():
    """So that each package can be understood and tested without those above it."""
    found = [path for path in OURS if path.name != "__init__.py"]
    layers = {path: layer(name_of(path)) for path in found}
    assert [path for path in found if layers[path] is None] == [], "name the modules' layers in LAYERS"

    above = [
        (name_of(path), name)
        for path, here in layers.items()
        for name in imported(path)
        if here is not None and (there := layer(name)) is not None and there < here
    ]

    assert len(found) > 100
    assert above == []


def test_only_the_boards_import_the_boards():
    """The demo is not part of the app that other projects install."""
    found = [
        (name_of(path), name)
        for path in modules(ROOT / "realtime")
        if "boards" not in path.parts
        for name in imported(path)
        if name.startswith("realtime.boards")
    ]

    assert found == []


@pytest.mark.parametrize("path", modules(ROOT / "realtime" / "client"), ids=name_of)
def test_the_client_needs_no_django(path):
    """A program that follows a topic has no settings."""
    of_the_project = {name for name in imported(path) if name.startswith("realtime.")}

    assert not [name for name in imported(path) if name.partition(".")[0] == "django"]
    assert all(name.startswith(("realtime.client.", "realtime.engine.")) for name in of_the_project)


@pytest.mark.parametrize("path", modules(ROOT / "realtime" / "engine"), ids=name_of)
def test_the_engine_is_pure(path):
    """No Django, event loop, clock or randomness: values of these are arguments. The only dependency is msgspec."""
    banned = {"asyncio", "time", "random", "secrets", "threading", "socket", "logging", "os", "sqlite3"}
    names = {name for name in imported(path) if not name.startswith("realtime.engine")}
    foreign = {name.partition(".")[0] for name in names}

    assert not foreign & banned
    assert not foreign - set(sys.stdlib_module_names) - {"msgspec"}


def test_imports_form_no_circle():
    """Otherwise none of the modules in the circle could be understood or tested without the others."""
    graph: dict[str, set[str]] = {name_of(path): set() for path in OURS}
    for path in OURS:
        for name in imported(path):
            while name and name not in graph:
                name = name.rpartition(".")[0]
            if name and name != name_of(path):
                graph[name_of(path)].add(name)

    while leaves := {name for name, targets in graph.items() if not targets & graph.keys()}:
        for name in leaves:
            del graph[name]

    assert graph == {}


def test_packages_import_nothing():
    """Django imports them before the settings and models are ready. What programs import by name is in PUBLIC."""
    for package in sorted((ROOT / "realtime").rglob("__init__.py")):
        if name_of(package) not in PUBLIC:
            assert list(imported(package)) == [], package


@pytest.mark.parametrize("package", PUBLIC)
def test_a_public_package_imports_only_its_own_modules(package):
    """So that importing it needs no settings: ``realtime.client`` nothing of Django's, for example."""
    found = set(imported(ROOT / package.replace(".", "/") / "__init__.py"))

    assert {name for name in found if not name.startswith(f"{package}.")} <= PUBLIC[package]


def test_the_reader_of_imports_finds_all_kinds(tmp_path, monkeypatch):
    """Otherwise the tests above would pass whatever the modules import."""
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    path = tmp_path / "realtime" / "engine" / "x.py"
    path.parent.mkdir(parents=True)
    path.write_text(
        "import a.b\nfrom c import d\nfrom . import e\nfrom .f import g\nfrom .. import h\n"
        "from ..boards.i import j\ndef k():\n    from django import l\n"
    )

    assert list(imported(path)) == [
        "a.b", "c.d", "realtime.engine.e", "realtime.engine.f.g", "realtime.h", "realtime.boards.i.j", "django.l",
    ]  # fmt: skip
