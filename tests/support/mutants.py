"""``make mutants [FILES="realtime/engine/topic.py …"] [SAMPLE=37]``: small changes to the code that tests must notice.

mutmut makes the mutants: a copy of the tree with one change at a time. Here their tests are run: pytest collects them
once, and for each mutant a forked process runs those that reach it, first the tests of its own module, the quickest
first, until one fails. A change that no test notices is a promise without a test, unless
docs/contributing/mutants.md explains why it changes nothing. A sample has the mutants whose number ends with one of
its digits: each digit is a tenth of them, the same in each run.
"""

import difflib
import inspect
import json
import os
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol
from django.db import connections
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[2]
LONGER_SECONDS, TIMES_LONGER = 4.0, 6.0
"""How long a test may take with a mutant: these seconds more than so many times its time without one; then the mutant
counts as noticed, if the same test without it takes less than half of that at that moment."""
UNKNOWN_SECONDS = 50.0
"""The time of a test that has not been run yet."""
EXPLANATIONS = ROOT / "docs" / "contributing" / "mutants.md"
MADE, REACHED = "mutants.json", "reached.json"
"""Files in the tree: its mutants, and the numbers of the tests that reach each function."""
ATTEMPTS = 5
EVENT = struct.Struct("<cid")
BEGUN, PASSED, FAILED, ENDED = b"b", b"p", b"f", b"e"
"""A report of a forked process: a test's number with its seconds, or at last that all have passed."""

FILES = {
    "realtime/delivery/rights.py": ["tests/delivery"],
    "realtime/delivery/hub.py": ["tests/delivery"],
    "realtime/delivery/shared_topic.py": ["tests/delivery"],
    "realtime/delivery/fan_out.py": ["tests/delivery"],
    "realtime/delivery/freshness.py": ["tests/delivery"],
    "realtime/delivery/read_pauses.py": ["tests/delivery"],
    "realtime/publishing/positions.py": ["tests/publishing"],
    "realtime/publishing/log.py": ["tests/publishing"],
    "realtime/publishing/sequencer.py": ["tests/publishing"],
    "realtime/databases/outbox.py": [
        "tests/databases/test_outbox.py",
        "tests/publishing/test_progress.py",
        "tests/publishing/test_positions.py",
        "tests/publishing/test_sequencer.py",
    ],
    "realtime/engine/*.py": ["tests/engine"],
}
"""The code that is mutated, and the tests that have to notice."""

_DECORATED = re.compile(
    r"^(?P<indent> *)@(?P<decorator>property|cached_property|contextmanager|cache)\n(?P=indent)def (?P<name>\w+)\(",
    re.MULTILINE,
)


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


# ---------------------------------------------------------------- making mutants


@dataclass(frozen=True)
class Mutant:
    """One change: its name for mutmut, the mutated function, and the lines before and after the change."""

    name: str
    function: str
    file: str
    before: str
    after: str


def make(tree: Path, file: str, sample: str = "") -> list[Mutant]:
    """Write a module of the tree again, with all its mutants; return those of the sample."""
    from mutmut.mutation.file_mutation import mutate_file_contents  # only `make mutants` has it installed

    mutated = mutate_file_contents(file, undecorated((tree / file).read_text()))
    (tree / file).write_text(mutated.code)
    lines, spans = mutated.code.splitlines(), mutated.line_span_by_function_name
    module = file.removesuffix(".py").replace("/", ".")

    def source(name: str, function: str) -> list[str]:
        """Return the lines of a generated function, with one name for all variants."""
        return [
            line.replace(name, function).strip() for line in lines[spans[name].start - 1 : spans[name].end]
        ]

    made: list[Mutant] = []
    for name in mutated.mutant_names:
        function, _, number = name.rpartition("__mutmut_")
        if sample and number[-1] not in sample:
            continue
        diff = difflib.unified_diff(source(f"{function}__mutmut_orig", function), source(name, function))
        before, after = changed("\n".join(diff))
        made.append(Mutant(f"{module}.{name}", f"{module}.{function}", file, before, after))
    return made


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


# ---------------------------------------------------------------- running tests


def pytest_configure(config: pytest.Config) -> None:
    """Let no property test fail by its slowness or by chance. This module is a plugin of the mutants' test run."""
    settings.register_profile(
        "mutants", deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    settings.load_profile("mutants")


def pytest_runtestloop(session: pytest.Session) -> bool:
    """Judge the mutants instead of running the tests once."""
    mutants = [Mutant(**made) for made in json.loads((Path.cwd() / MADE).read_text())]
    judge = Judge(session.items)
    known = explained(EXPLANATIONS.read_text())
    outcomes: dict[str, Counter[str]] = defaultdict(Counter)
    for mutant in mutants:
        outcome = judge.outcome(mutant)
        if outcome != "noticed" and (mutant.file, mutant.after) in known:
            outcome = "explained"
        outcomes[mutant.file][outcome] += 1
        if outcome not in ("noticed", "explained"):
            session.testsfailed += 1
            print(f"\nSURVIVED {mutant.name} ({outcome})\n- {mutant.before}\n+ {mutant.after}", flush=True)
        if outcomes[mutant.file].total() % 10 == 0:
            print(mutant.file, dict(outcomes[mutant.file]), flush=True)
    for file, counted in outcomes.items():
        print(f"{file}: {counted.total()} mutants, {dict(counted)}", flush=True)
    return True


class Judge:
    """Runs tests in forked processes: this one has collected them, and made the database that each begins with."""

    def __init__(self, items: Sequence[pytest.Item]) -> None:
        self._items = items
        self._database, self._as_made = Path(os.environ["VAR_DIR"], "test.sqlite3"), b""
        self._seconds: dict[int, float] = {}
        self._reached: dict[str, list[int]] = defaultdict(list)
        self._make_database()
        self._learn()

    def outcome(self, mutant: Mutant) -> str:
        """Return whether a test notices the mutant that passes without it."""
        own = f"test_{Path(mutant.file).name}"
        order = sorted(
            self._reached[mutant.function],
            key=lambda test: (self._items[test].path.name != own, self._seconds[test]),
        )
        if not order:
            return "no test reaches it"
        for attempt in range(ATTEMPTS):  # on a busy machine each gives more time
            test = self._noticing(order, mutant.name, 2.0**attempt)
            if test is None:
                return "survived"
            if self._noticing([test], "", 2.0**attempt / 2) is None:
                return "noticed"
        return f"not judged: {self._items[test].nodeid} fails without it"

    def _make_database(self) -> None:
        """Make the test database by the fixtures of the first test that needs it, if one does."""
        for item in self._items:
            function = getattr(item, "function", None)
            if "migrated" in getattr(item, "fixturenames", ()) and not inspect.iscoroutinefunction(function):
                runtestprotocol(item, log=False, nextitem=self._another(item))
                connections.close_all()
                self._as_made = self._database.read_bytes()
                break
        assert threading.active_count() == 1, "a process with threads cannot be forked"

    def _learn(self) -> None:
        """Run all tests without a mutant: how long each takes, and which functions it reaches."""
        for event, test, seconds in self._run(range(len(self._items)), "stats"):
            if event == PASSED:
                self._seconds[test] = seconds
            elif event == FAILED:
                print(f"left out, as it fails without a mutant: {self._items[test].nodeid}", flush=True)
        for function, tests in json.loads(Path(REACHED).read_text()).items():
            self._reached[function] = [test for test in tests if test in self._seconds]
        print(f"{len(self._seconds)} tests take {sum(self._seconds.values()):.0f} s", flush=True)

    def _noticing(self, order: Sequence[int], mutant: str, patience: float) -> int | None:
        """Return the first of some tests that fails, or takes ``patience`` times as long as it may."""
        test = order[0]
        for event, test, _ in self._run(order, mutant, patience):
            if event == FAILED:
                return test
            if event == ENDED:
                return None
        return test

    def _run(
        self, tests: Sequence[int], mutant: str, patience: float = 1.0
    ) -> Iterator[tuple[bytes, int, float]]:
        """Run tests with a mutant; yield what happens, until a test takes too long or the process is gone."""
        if self._as_made:
            self._database.write_bytes(self._as_made)
            for suffix in ("-wal", "-shm"):
                Path(f"{self._database}{suffix}").unlink(missing_ok=True)
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.close(reader)
            try:
                self._run_here(tests, mutant, writer)
            finally:
                os._exit(0)
        os.close(writer)
        test = tests[0]
        try:
            while True:
                limit = LONGER_SECONDS + TIMES_LONGER * self._seconds.get(test, UNKNOWN_SECONDS)
                is_ready, _, _ = select.select([reader], [], [], patience * limit)
                happened = os.read(reader, EVENT.size) if is_ready else b""
                if not happened:
                    return
                event, test, seconds = EVENT.unpack(happened)
                yield event, test, seconds
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(reader)

    def _run_here(self, tests: Sequence[int], mutant: str, events: int) -> None:
        """Run tests with a mutant in this process, and report what happens."""
        from mutmut.mutation import trampoline

        reached: dict[str, list[int]] = defaultdict(list)
        hits: set[str] = set()
        trampoline.record_trampoline_hit = lambda name, caller=None: hits.add(name)
        trampoline.set_mutant_under_test(mutant)
        with open(os.devnull, "w") as nothing:
            os.dup2(nothing.fileno(), 1)
            os.dup2(nothing.fileno(), 2)
        first = self._items[tests[0]]
        first.session._setupstate.teardown_exact(first)
        for number, test in enumerate(tests):
            os.write(events, EVENT.pack(BEGUN, test, 0.0))
            item, begun = self._items[test], time.monotonic()
            is_last = number + 1 == len(tests)
            following = self._another(item) if is_last else self._items[tests[number + 1]]
            reports = runtestprotocol(item, log=False, nextitem=following)
            outcome = FAILED if any(report.failed for report in reports) else PASSED
            for name in hits:
                reached[name].append(test)
            hits.clear()
            os.write(events, EVENT.pack(outcome, test, time.monotonic() - begun))
        if mutant == "stats":
            Path(REACHED).write_text(json.dumps(reached))
        os.write(events, EVENT.pack(ENDED, tests[-1], 0.0))

    def _another(self, item: pytest.Item) -> pytest.Item:
        """Return a test of another module: pytest then ends all that only the modules of ``item`` need."""
        return next(each for each in self._items if each.path != item.path)


# ---------------------------------------------------------------- the command


def _judge(files: Sequence[str], tests: Sequence[str], sample: str) -> bool:
    """Mutate files in a copy of the tree, and run tests there; return whether each mutant is noticed or explained."""
    options = ["-q", "-s", "-p", "no:cacheprovider", "-p", "tests.support.mutants", "-m"]
    with tempfile.TemporaryDirectory(prefix="tidemark-mutants-") as folder:
        tree = Path(folder)
        copy(tree)
        made = [mutant for file in files for mutant in make(tree, file, sample)]
        (tree / MADE).write_text(json.dumps([asdict(mutant) for mutant in made]))
        (tree / "var").mkdir()
        command = [sys.executable, "-m", "pytest", *options, "not server and not browser", *tests]
        environment = {**os.environ, "VAR_DIR": str(tree / "var")}
        return not subprocess.run(command, cwd=tree, env=environment).returncode


def main(chosen: list[str], sample: str = "") -> int:
    failed = False
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for pattern, tests in FILES.items():
        files = sorted(
            str(path.relative_to(ROOT)) for path in ROOT.glob(pattern) if path.name != "__init__.py"
        )
        groups[tuple(tests)] += [file for file in files if not chosen or file in chosen]
    for folders, files in groups.items():
        if files:
            failed |= not _judge(files, folders, sample)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ.get("SAMPLE", "")))
