"""The reference of the page client: what it exports, its elements, attributes and events are documented."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CLIENT = ROOT / "realtime" / "static" / "realtime"
TYPEDOC = ROOT / ".venv" / "typedoc" / "node_modules" / ".bin" / "typedoc"
MODULES = [
    path
    for path in sorted(CLIENT.rglob("*.js"))
    if not path.name.endswith(".min.js") and "inspector" not in path.parts
]
PUBLIC = [CLIENT / "client.js", CLIENT / "realtime.js", *sorted((CLIENT / "frameworks").glob("*.js"))]
SOURCES = {path: path.read_text() for path in MODULES}
REFERENCE = (ROOT / "docs" / "reference.md").read_text()
EXPORTED = re.compile(
    r"(/\*\*(?:[^*]|\*(?!/))*\*/)?\n+export (?:async )?(?:function|class|const) (\w+)(?:\(([^)]*)\))?"
)
GUIDE = (ROOT / "docs" / "feeds.md").read_text()


def exports() -> dict[str, tuple[str, str]]:
    """Return the comment and the parameters of each function and class that a public module exports."""
    return {
        f"{path.stem}.{name}": (comment, parameters)
        for path in PUBLIC
        for comment, name, parameters in EXPORTED.findall(SOURCES[path])
    }


def test_each_public_function_and_class_is_described():
    """TypeDoc makes the reference of these comments, and `make docs` fails without them; this needs no node."""
    found = exports()

    assert {
        "client.connect",
        "client.subscribe",
        "client.call",
        "client.broadcast",
        "client.presence",
    } <= set(found)
    assert {"realtime.Realtime", "react.useRows", "vue.useRows", "svelte.rows", "store.rowsStore"} <= set(
        found
    )
    assert [name for name, (comment, _) in found.items() if not re.search(r"\* [A-Z`]", comment)] == []


def test_each_parameter_of_a_public_function_is_described():
    """By its name; defaults and destructured options are no part of it."""
    lacking = [
        f"{name}: {parameter}"
        for name, (comment, parameters) in exports().items()
        for parameter in re.findall(r"(?:^|, )(\w+)", parameters)
        if not re.search(rf"@param \{{.+\}} \[?{parameter}\b", comment)
    ]

    assert lacking == []


def test_each_type_that_the_public_interface_names_is_exported():
    """Programs in TypeScript import them from the package's root."""
    client = SOURCES[CLIENT / "client.js"]
    types = set(re.findall(r"@typedef \{import\([^)]+\)\.\w+(?:<\w+>)?\} (\w+)", client))
    declared = set(re.findall(r"@typedef .*\} (\w+)(?: -|\n)", SOURCES[CLIENT / "realtime.js"]))

    assert declared
    assert declared - types == set()


def test_each_type_that_is_exported_is_described():
    """Behind its name, where TypeDoc looks for it; a type that is imported has the description of its own module."""
    client = SOURCES[CLIENT / "client.js"]
    modules = {CLIENT / name for name in re.findall(r'@typedef \{import\("\./([^"]+)"\)', client)}
    declared = [
        (path.stem, rest)
        for path in sorted(modules | set(PUBLIC))
        for rest in re.findall(r"@typedef (?!\{import)((?:[^*@]|\*(?!/))+)", SOURCES[path])
    ]
    lacking = [
        (stem, rest) for stem, rest in declared if not re.match(r"\{.+\} \w+[\s*]+- \w", rest, re.DOTALL)
    ]

    assert len(modules) >= 6
    assert len(declared) >= 30
    assert lacking == []


def test_each_element_is_in_the_reference():
    """With the attributes that it reads or writes beside it."""
    elements = re.findall(r'customElements\.define\("([\w-]+)"', SOURCES[CLIENT / "client.js"])

    assert len(elements) >= 4
    assert [name for name in elements if f"`<{name}>`" not in REFERENCE] == []


@pytest.mark.parametrize("pattern", [r'"(data-realtime-[a-z]+)"'])
def test_each_attribute_is_in_the_reference(pattern):
    """The attributes whose names begin with ours, which pages and style sheets use."""
    attributes = {name for source in SOURCES.values() for name in re.findall(pattern, source)}
    of_hosts = {"data-realtime-rows", "data-realtime-state"}  # made with a prefix

    assert len(attributes) >= 5
    assert [name for name in attributes | of_hosts if name not in REFERENCE] == []


def test_each_event_is_in_the_reference_and_described():
    """The names that are dispatched as they are, and those that a function is given without their beginning."""
    events = set()
    for source in SOURCES.values():
        events |= set(re.findall(r'CustomEvent\("realtime:([a-z-]+)"', source))
        events |= set(re.findall(r'\bannounce\((?:\w+, )?"([a-z-]+)"', source))
    events |= {"snapshot", "changes"}  # by the type of the message

    assert len(events) >= 10
    assert [name for name in events if f"`realtime:{name}`" not in REFERENCE] == []
    assert [name for name in events if f"`realtime:{name}`" not in GUIDE] == []
    assert set(re.findall(r"`realtime:([a-z-]+)`", REFERENCE)) == events


@pytest.mark.skipif(not (TYPEDOC.exists() and shutil.which("node")), reason="make docs installs TypeDoc")
def test_typedoc_reports_nothing(tmp_path):
    """A type that is not exported, an export without a description, a link that leads nowhere."""
    options = ROOT / "docs" / "javascript" / "typedoc.json"

    done = subprocess.run(
        [TYPEDOC, "--options", options, "--out", tmp_path, "--logLevel", "Warn"],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "subscribe" in (tmp_path / "client.md").read_text()
