"""Imports run one way: config, the demo's boards, the engine's Django side, the engine."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# What a room may import of ours: itself and what is below it.
ROOMS = ["realtime.engine", "realtime", "realtime.boards", "config"]


def room(module: str) -> str | None:
    """Return the room a module is in; None when it is not ours."""
    inside = [name for name in ROOMS if module == name or module.startswith(f"{name}.")]
    return max(inside, key=len, default=None)


def modules(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "migrations" not in path.parts)


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> Iterator[str]:
    """Yield the full names of what a module imports, wherever in it the import stands."""
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


@pytest.mark.parametrize("path", OURS, ids=name_of)
def test_a_module_imports_nothing_from_above_its_room(path):
    """So that the engine can be used without the demo, and understood without Django."""
    here = room(name_of(path))
    assert here is not None

    above = ROOMS[ROOMS.index(here) + 1 :]
    assert [name for name in imported(path) if room(name) in above] == []


@pytest.mark.parametrize("path", modules(ROOT / "realtime" / "engine"), ids=name_of)
def test_the_engine_is_pure(path):
    """No Django, no event loop, no clock, no chance: they come in as arguments. msgspec alone is not Python's."""
    banned = {"asyncio", "time", "random", "secrets", "threading", "socket", "logging", "os", "sqlite3"}
    foreign = {name.partition(".")[0] for name in imported(path) if room(name) is None}

    assert not foreign & banned
    assert not foreign - set(sys.stdlib_module_names) - {"msgspec"}


def test_the_packages_themselves_import_nothing():
    """Django imports them before it is ready for anything else."""
    for package in ("realtime", "realtime/engine", "realtime/boards", "config"):
        assert list(imported(ROOT / package / "__init__.py")) == []


def test_the_reader_of_imports_sees_all_kinds(tmp_path, monkeypatch):
    """Else this file would hold nothing."""
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
