"""``make mutants [FILES="realtime/engine/topic.py …"] [SAMPLE=37]``: small changes to the code that tests must notice.

mutmut changes one thing at a time in a copy of the tree and runs the quick tests that reach it. A change that no test
notices is a promise without a test, unless docs/contributing/mutants.md explains why it changes nothing. A sample has
the mutants whose number ends with one of its digits: each digit is a tenth of them, the same in each run.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 60.0
"""How much longer than without a mutant its tests may take, about; then it counts as noticed."""
TIMES_LONGER = 2.0
"""How many times as long: on a busy machine, tests that take a second may take another."""
EXPLANATIONS = ROOT / "docs" / "contributing" / "mutants.md"

ENGINE = "realtime/engine/*.py"
FILES = {
    ENGINE: ["tests/engine"],
    "realtime/databases/outbox.py": [
        "tests/databases/test_outbox.py",
        "tests/publishing/test_progress.py",
        "tests/publishing/test_positions.py",
        "tests/publishing/test_sequencer.py",
    ],
    "realtime/publishing/positions.py": ["tests/publishing"],
    "realtime/publishing/sequencer.py": ["tests/publishing"],
    "realtime/publishing/log.py": ["tests/publishing"],
    "realtime/delivery/hub.py": ["tests/delivery"],
    "realtime/delivery/shared_topic.py": ["tests/delivery"],
    "realtime/delivery/fan_out.py": ["tests/delivery"],
    "realtime/delivery/freshness.py": ["tests/delivery"],
    "realtime/delivery/read_pauses.py": ["tests/delivery"],
    "realtime/delivery/rights.py": ["tests/delivery"],
}
"""What is mutated, and the tests that have to notice."""

_DECORATED = re.compile(
    r"^(?P<indent> *)@(?P<decorator>property|cached_property|contextmanager|cache)\n(?P=indent)def (?P<name>\w+)\(",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Survivor:
    """A mutant that no test noticed: its name, the lines that it changed, and the changed lines."""

    name: str
    file: str
    before: str
    after: str


def pytest_configure(config: pytest.Config) -> None:
    """Give each process its own test database, and let no property test fail by its slowness or by chance.

    This module is a plugin of the mutants' test runs.
    """
    os.environ["TOX_PARALLEL_ENV"] = str(os.getpid())
    settings.register_profile(
        "mutants", deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    settings.load_profile("mutants")


def undecorated(source: str) -> str:
    """Return the source with plain functions behind its decorators: mutmut leaves decorated ones out."""

    def plain(match: re.Match[str]) -> str:
        indent, decorator, name = match["indent"], match["decorator"], match["name"]
        owner, first = ("self.", "self, ") if indent else ("", "")
        call = f"lambda {first}*a, **k: {owner}mutated_{name}(*a, **k)"
        return f"{indent}{name} = {decorator}({call})\n{indent}def mutated_{name}("

    return _DECORATED.sub(plain, source)


def explained(text: str) -> set[tuple[str, str]]:
    """Return the file and the changed line of each mutant in the table of the explanations."""
    cells = re.findall(r"^\| `([^`]+\.py)` \| `` ?(.+?) ?`` \|", text, re.MULTILINE)
    return {(file, line.replace("\\|", "|")) for file, line in cells}


def changed(diff: str) -> tuple[str, str]:
    """Return the removed and the added lines of a diff, without indentation."""
    lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++"))]
    removed = [line[1:].strip() for line in lines if line.startswith("-")]
    added = [line[1:].strip() for line in lines if line.startswith("+")]
    return "\n".join(removed), "\n".join(added)


def run(tree: Path, files: list[str], tests: list[str], sample: str = "") -> Iterator[Survivor]:
    """Mutate the files in a tree; yield the mutants that survive the tests."""
    # Tests of the engine leave nothing behind in a process, so that others can be forked from it; that is quicker.
    isolation = "fork" if tests == FILES[ENGINE] else "forkserver"
    with (tree / "pyproject.toml").open("a") as configuration:
        configuration.write(
            f'\n[tool.mutmut]\nsource_paths = ["realtime"]\nonly_mutate = {files!r}\n'
            'also_copy = ["config", "templates", "docs", "manage.py", "realtime", "requirements.txt"]\n'
            'pytest_add_cli_args = ["-q", "-p", "no:cacheprovider", "-p", "tests.support.mutants", '
            '"-m", "not server and not browser"]\n'
            f"pytest_add_cli_args_test_selection = {tests!r}\n"
            f"timeout_constant = {TIMEOUT_SECONDS}\ntimeout_multiplier = {TIMES_LONGER}\n"
            f'process_isolation = "{isolation}"\n'
        )
    for file in files:
        source = tree / file
        source.write_text(undecorated(source.read_text()))
    mutmut = Path(sys.executable).with_name("mutmut")
    environment = {**os.environ, "VAR_DIR": str(tree / "var"), "DJANGO_SETTINGS_MODULE": "config.settings"}

    def ask(*arguments: str) -> str:
        done = subprocess.run(
            [mutmut, *arguments], cwd=tree, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    chosen = [f"*__mutmut_*[{sample}]"] if sample else []
    subprocess.run([mutmut, "run", *chosen], cwd=tree, env=environment, check=True)
    for line in ask("results").splitlines():
        name, _, outcome = line.strip().partition(": ")
        if outcome in ("survived", "no tests", "suspicious"):
            file = "/".join(name.split(".x", 1)[0].split(".")) + ".py"
            yield Survivor(name, file, *changed(ask("show", name)))


def copy(tree: Path) -> None:
    """Copy the files that are in git, or not ignored by it, as they are now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)


def main(chosen: list[str], sample: str = "") -> int:
    known = explained(EXPLANATIONS.read_text())
    left = 0
    for pattern, tests in FILES.items():
        files = sorted(
            str(path.relative_to(ROOT)) for path in ROOT.glob(pattern) if path.name != "__init__.py"
        )
        files = [file for file in files if not chosen or file in chosen]
        if not files:
            continue
        with tempfile.TemporaryDirectory(prefix="tidemark-mutants-") as folder:
            tree = Path(folder)
            copy(tree)
            for survivor in run(tree, files, tests, sample):
                if (survivor.file, survivor.after) not in known:
                    left += 1
                    print(f"\nSURVIVED {survivor.name}\n- {survivor.before}\n+ {survivor.after}", flush=True)
    print(f"\n{left} mutants that no test notices and docs/contributing/mutants.md does not explain")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ.get("SAMPLE", "")))
