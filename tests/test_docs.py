"""Documents name files, tests, modules, commands and headings: each of them exists."""

import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from tests.test_imports import LAYERS

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

for_each_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT))
)


def code(text: str) -> Iterator[str]:
    """Yield each code span, and each line of each code block."""
    for block, span in re.findall(r"^```\w*\n(.*?)^```|`([^`\n]+)`", text, re.DOTALL | re.MULTILINE):
        yield from block.splitlines() or [span]


def words(pattern: str, document: Path) -> set[str]:
    """Return what a pattern's group finds in the document's code."""
    return {found for line in code(document.read_text()) for found in re.findall(pattern, line)}


@cache
def files() -> frozenset[str]:
    """Return the names of the source files of the project."""
    folders = [ROOT / name for name in ("realtime", "tests", "config", "templates", "docs")]
    return frozenset([path.name for folder in folders for path in folder.rglob("*.*")] + ["manage.py"])


@cache
def known_tests() -> frozenset[str]:
    """Return the names of all test functions and test modules."""
    modules = list((ROOT / "tests").rglob("test_*.py"))
    functions = re.findall(
        r"^ *(?:async )?def (test_\w+)", "\n".join(path.read_text() for path in modules), re.MULTILINE
    )
    return frozenset([*functions, *(path.stem for path in modules)])


def anchors(document: Path) -> set[str]:
    """Return what a link may name after ``#``, as GitHub makes it of each heading."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@for_each_document
def test_paths_exist(document):
    """Paths of static files and templates may leave out the folder that Django finds them by."""
    # A slash before makes it an address: /realtime/ws/.
    paths = words(r"(?<![\w/.*-])((?:realtime|tests|docs|config|templates)/[\w./-]*\w)", document)
    roots = [ROOT, ROOT / "realtime" / "static", ROOT / "realtime" / "templates"]

    assert {path for path in paths if not any((root / path).exists() for root in roots)} == set()


@for_each_document
def test_files_named_without_a_folder_exist(document):
    assert words(r"(?<![\w/.*-])(\w[\w-]*\.(?:py|js))\b", document) - files() == set()


@for_each_document
def test_tests_exist(document):
    """Apart from those that a recipe shows: tests/testing/test_recipes.py runs them."""
    shown = set(
        re.findall(r"^ *(?:async )?def (test_\w+)|^# shop/(test_\w+)\.py", document.read_text(), re.MULTILINE)
    )

    assert (
        words(r"\b(test_\w+)", document) - known_tests() - {name for pair in shown for name in pair} == set()
    )


def test_each_of_the_traps_is_made_by_tests_of_the_named_files():
    """All 22 of them; a test that is renamed or moved is renamed in the table, too."""
    text = (ROOT / "docs" / "guarantees.md").read_text()
    table = text[text.index("## The traps") : text.index("## Not promised")]
    rows = re.findall(r"^\| (\d+) \|[^|]+\|(.*)\|$", table, re.MULTILINE)

    assert [int(number) for number, _ in rows] == list(range(1, 23))
    for number, cell in rows:
        tests = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", cell)
        assert tests, number
        for path, name in tests:
            assert re.search(rf"^(?:async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE), name


def test_each_claim_of_the_comparison_is_held_by_a_test():
    """Only Tidemark's claims can be checked here, not those of the other projects."""
    text = (ROOT / "docs" / "comparison.md").read_text()
    table = text[text.index("## Claims about Tidemark") : text.index("## What Tidemark does not do")]
    claims = re.findall(r"^\| ([^|]+) \|(.*)\|$", table, re.MULTILINE)[1:]

    assert len(claims) > 5
    for claim, held_by in claims:
        tests = re.findall(r"`(tests/[\w/]+/test_\w+\.py)`|`(tests/test_\w+\.py)`", held_by)
        assert tests, claim
        assert all((ROOT / (path or flat)).exists() for path, flat in tests), claim


def test_each_project_of_the_comparison_has_a_source():
    """Readers can check the statements: the paragraph on each project links to its documents."""
    text = (ROOT / "docs" / "comparison.md").read_text()
    table = text[text.index("## At a glance") : text.index("## One by one")]
    paragraphs = text[text.index("## One by one") : text.index("## Claims about Tidemark")].split("\n\n")
    others = [name.split(" (")[0] for name in re.findall(r"^\| ([A-Za-z][^|]*) \|", table, re.MULTILINE)]

    assert len(others) >= 9
    for name in others:
        about = [each for each in paragraphs if re.search(rf"\*\*\[{re.escape(name)}", each)]
        assert any("](https://" in each for each in about), name


def test_every_document_is_a_page_of_the_site():
    """The table of contents of `make docs` leads to each of them."""
    listed = set()
    for index in ("index.md", "howto/index.md"):
        page = ROOT / "docs" / index
        for entries in re.findall(r"^```\{toctree\}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
            names = [line for line in entries.splitlines() if line and not line.startswith(":")]
            listed |= {(page.parent / f"{name}.md").resolve() for name in names}

    assert set(DOCUMENTS) - listed == {ROOT / "README.md", ROOT / "docs" / "index.md"}


@for_each_document
def test_modules_and_what_is_in_them_exist(document):
    """Names that begin with no module of the project are loggers, checks or scripts' names."""
    for name in words(r"(?<![\w/.-])((?:realtime|tests)(?:\.\w+)+(?::\w+)?)", document):
        first = ROOT.joinpath(*name.partition(":")[0].split(".")[:2])
        if first.is_dir() or first.with_suffix(".py").exists():
            pkgutil.resolve_name(name)


@for_each_document
def test_commands_exist(document):
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert words(r"(?:^|[\s=])make ([a-z][\w-]*)", document) - targets == set()
    assert words(r"manage\.py ([a-z]\w*)", document) - get_commands().keys() == set()


@for_each_document
def test_commands_have_the_options_that_documents_give_them(document):
    """In blocks and in sentences, those of Django's own commands included."""
    for name, rest in re.findall(r"manage\.py ([a-z]\w*)([^\n`|;&#)]*)", document.read_text()):
        parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)
        for option in re.findall(r"(?<!\S)(--?[a-z][\w-]*)", rest):
            assert option in parser._option_string_actions, f"{name} {option}"


@for_each_document
def test_links_lead_somewhere(document):
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = document.parent / path if path else document
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def test_each_decision_has_a_number_of_its_own() -> None:
    numbers = re.findall(r"^- \*\*(\d+)\.", (ROOT / "docs" / "decisions.md").read_text(), re.MULTILINE)

    assert [number for number in set(numbers) if numbers.count(number) > 1] == []


@for_each_document
def test_decisions_that_are_referred_to_are_recorded(document):
    recorded = set(re.findall(r"^- \*\*(\d+)\.", (ROOT / "docs" / "decisions.md").read_text(), re.MULTILINE))

    assert set(re.findall(r"\bdecisions? (\d+)", document.read_text())) - recorded == set()


@pytest.mark.parametrize(
    "package",
    # Django's own folders, and the demo, which is an app like any other, are not steps of the path.
    sorted(
        {path.parent.name for path in (ROOT / "realtime").glob("*/__init__.py")}
        - {"boards", "management", "migrations", "templatetags"}
    ),
)
def test_the_architecture_names_every_module_of_a_package(package):
    """The table of packages is how a newcomer finds the module for a change."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    row = re.search(rf"^\| `realtime/{package}/` \|.*\|(.*)\|$", text, re.MULTILINE)
    assert row is not None
    folder = ROOT / "realtime" / package
    modules = {path.stem for path in folder.glob("*.py")} | {
        path.parent.name for path in folder.glob("*/__init__.py")
    }

    assert set(re.findall(r"`(\w+)`", row[1])) == modules - {"__init__"}


def test_the_architecture_names_every_module_of_the_root():
    text = (ROOT / "docs" / "architecture.md").read_text()
    table = text[text.index("At the root of `realtime/`") : text.index("## Import rules")]
    modules = {path.stem for path in (ROOT / "realtime").glob("*.py")} - {"__init__"}

    assert set(re.findall(r"`(\w+)`", table)) >= modules


def test_threads_and_tasks_that_are_named_exist():
    """By the whole name, or by what is put behind ``realtime-``."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    section = text[text.index("## Threads and event loops") : text.index("## Start")]
    source = "\n".join(path.read_text() for path in (ROOT / "realtime").rglob("*.py"))
    for name in re.findall(r"`realtime-([a-z]+)", section):
        assert re.search(rf'"(realtime-)?{name}[-"{{]', source), name


def test_the_layers_are_those_of_the_test_of_imports():
    text = (ROOT / "docs" / "architecture.md").read_text()
    block = re.search(r"## Import rules.*?```\n(.*?)```", text, re.DOTALL)
    assert block is not None

    layers = [set(re.findall(r"[a-z_]+", line)) for line in block[1].splitlines()]

    assert layers == [{name.removeprefix("realtime.") for name in names} for names in LAYERS]


def test_the_reader_of_documents_finds_all_kinds(tmp_path):
    """Otherwise the tests above would pass whatever is written."""
    document = tmp_path / "x.md"
    document.write_text(
        "# One: `two`, three\n\n`make a` and `tests/b.py`\n\n```sh\nmake c\nPORT=1 make d\n```\n"
    )

    assert words(r"(?:^|[\s=])make ([a-z]\w*)", document) == {"a", "c", "d"}
    assert words(r"(tests/[\w.]+)", document) == {"tests/b.py"}
    assert anchors(document) == {"one-two-three"}
