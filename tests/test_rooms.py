"""The tests mirror the packages: the test of a module is found by its name."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def has_behaviour(path: Path) -> bool:
    """Return whether a module defines anything but types; an empty ``__init__`` does not."""
    return any(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        for node in ast.parse(path.read_text()).body
    )


MAX_FLAT = 20


def modules() -> list[Path]:
    return sorted(
        path.relative_to(ROOT / "realtime").with_suffix("")
        for path in (ROOT / "realtime").rglob("*.py")
        if "migrations" not in path.parts and has_behaviour(path)
    )


def expected_file(module: Path) -> Path:
    """Return where the test of a module stands: commands have theirs in ``management``."""
    package = Path(str(module.parent).replace("management/commands", "management"))
    return Path("tests") / package / f"test_{module.name}.py"


def test_each_module_has_a_test_of_its_name():
    """``realtime/delivery/hub.py`` is tested by ``tests/delivery/test_hub.py``."""
    expected = [expected_file(module) for module in modules()]

    assert len(expected) > 100
    assert [file for file in expected if not (ROOT / file).is_file()] == []


def test_few_files_stand_outside_of_packages():
    """The root of the app has the modules that developers and Django look for there; all others are in packages."""
    assert len(list((ROOT / "realtime").glob("*.py"))) <= MAX_FLAT
