"""docs/tutorial.md, followed literally with the installed wheel: commands, files and outputs are those of the page."""

import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.windows import PATIENCE_MS
from tests.install.conftest import installed, wheel  # noqa: F401
from tests.support.databases import PostgreSQL, postgresql  # noqa: F401
from tests.support.servers import ROOT, free_port, wait_until_answering

PAGE = (ROOT / "docs" / "tutorial.md").read_text()
BLOCKS = re.findall(r"^```(\S+)( postgresql)?\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
"""Each block's language, whether it is for PostgreSQL alone, and its text."""

PROGRAM = """#!/bin/sh
exec {python} -m {module} "$@"
"""
PYTHON = """#!/bin/sh
case "$1 $2" in
"-m venv") mkdir -p "$3/bin" && touch "$3/bin/activate" ;;
"manage.py createsuperuser") exec {python} "$@" --noinput ;;
*) exec {python} "$@" ;;
esac
"""
PIP = """#!/bin/sh
case "$2" in
"django-tidemark[daphne]" | "django-tidemark[daphne,postgres]") ;;
*) echo "not a distribution of this project: $2" >&2; exit 1 ;;
esac
"""
"""Each extra is installed where tests run, and the wheel is on the path: a registry would have the last release."""


class Reader:
    """Follows the page in a folder of its own: types commands, writes files, compares outputs."""

    def __init__(self, folder: Path, packages: Path, postgresql: PostgreSQL | None) -> None:  # noqa: F811
        self.folder, self.packages, self.postgresql = folder, packages, postgresql
        self.port = free_port()
        self.servers: list[subprocess.Popen[bytes]] = []
        self._output = ""
        self._log: Path | None = None
        self._programs = folder / ".programs"
        self._programs.mkdir()
        self.program("python", PYTHON)
        self.program("pip", PIP)
        self.program("django-admin", PROGRAM, module="django")
        self.program("daphne", PROGRAM, module="daphne")

    def program(self, name: str, text: str, **names: object) -> None:
        """Put a program on the path, before the system's own."""
        path = self._programs / name
        path.write_text(text.format(python=sys.executable, **names))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    @property
    def environment(self) -> dict[str, str]:
        found = {
            "PATH": f"{self._programs}:/usr/bin:/bin",
            "PYTHONPATH": str(self.packages),
            "PYTHONUNBUFFERED": "1",
            "DJANGO_SUPERUSER_PASSWORD": "a-password-for-tests",
        }
        if self.postgresql is not None:
            server = self.postgresql
            found |= {"PGHOST": str(server.folder), "PGPORT": server.port, "PGUSER": "postgres"}
            found["PATH"] = f"{found['PATH']}:{server.programs}"
        return found

    def follow(self, language: str, text: str) -> None:
        match language:
            case "sh":
                for command in text.splitlines():
                    self._type(command)
            case "diff":
                self._edit(text)
            case "text":
                self._compare(text)
            case _:
                self._write(text)

    def _type(self, command: str) -> None:
        if "runserver" in command or command.startswith("daphne"):
            self._serve(command)
            return
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while (done := self._run(command)).returncode and "doctor" in command and time.monotonic() < deadline:
            pass  # a busy machine may let a lease run out, and the doctor says so
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        self._log, self._output = None, self._output + done.stdout

    def _run(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-ec", command], cwd=self.folder, env=self.environment, timeout=180, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def _serve(self, command: str) -> None:
        """Start a server at a free port, in place of 8000, and wait until it answers."""
        if "runserver" in command:
            command += " 8000"
        self._log = self.folder / f"server-{len(self.servers)}.log"
        with self._log.open("wb") as log:
            process = subprocess.Popen(
                ["sh", "-ec", f"exec {command.replace('8000', str(self.port))}"],
                cwd=self.folder, env=self.environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.servers.append(process)
        wait_until_answering(f"http://127.0.0.1:{self.port}/", process)

    def stop(self) -> None:
        """Press Ctrl-C: the terminal sends it to all processes of the command."""
        os.killpg(self.servers[-1].pid, signal.SIGINT)
        self.servers[-1].wait(60)

    def log(self) -> str:
        return "".join(path.read_text() for path in self.folder.glob("server-*.log"))

    def _edit(self, text: str) -> None:
        """Apply a difference: the lines that it keeps or removes are in the file, one after the other."""
        first, *lines = text.splitlines()
        path = self.folder / first.removeprefix("--- ")
        before = "\n".join(line[1:] for line in lines if not line.startswith("+"))
        after = "\n".join(line[1:] for line in lines if not line.startswith("-"))
        assert path.read_text().count(before) == 1, f"{path.name} has no such lines:\n{before}"
        path.write_text(path.read_text().replace(before, after))

    def _write(self, text: str) -> None:
        """Write the file that the first line names; add to it where that says so."""
        first, rest = text.split("\n", 1)
        named = re.search(r"[\w./-]+\.(?:py|html|jsx?)", first)
        assert named is not None, first
        path = self.folder / named[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        if first.endswith("at the end"):
            path.write_text(path.read_text() + rest)
        else:
            path.write_text(rest)

    def _compare(self, text: str) -> None:
        """Find each line of the block in what was printed since the block before."""
        for line in text.replace("8000", str(self.port)).splitlines():
            pattern = ".*".join(re.escape(part) for part in line.split("…"))
            deadline = time.monotonic() + PATIENCE_MS / 1000
            while not re.search(rf"^{pattern}$", shown := self._shown(), re.MULTILINE):
                assert self._log is not None and time.monotonic() < deadline, f"not printed: {line}\n{shown}"  # noqa: PT018
                time.sleep(0.1)
        self._output = ""

    def _shown(self) -> str:
        return self._output if self._log is None else self._log.read_text()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.matrix)])
def reader(request, tmp_path, installed) -> Iterator[Reader]:  # noqa: F811
    server = request.getfixturevalue("postgresql") if request.param == "postgresql" else None
    reader = Reader(tmp_path, installed, server)
    yield reader
    for process in reader.servers:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if server is not None:
        subprocess.run(
            [server.programs / "dropdb", "--force", "--if-exists", "mysite"],
            env=reader.environment,
            check=True,
        )


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    yield page
    context.close()


def test_the_tutorial_leads_to_a_page_that_follows_the_database(reader, page):
    """With ``runserver``, then with ``daphne``, on each database; the page is loaded once."""
    steps: dict[str, Callable[[], None]] = {
        "## 7.": lambda: open_live(page, reader),
        "Both pages say": lambda: expect(page.get_by_text("5 in stock")).to_be_visible(),
        "Stop the server": reader.stop,
        "The pages reconnect": lambda: expect(page.get_by_text("4 in stock")).to_be_visible(),
    }
    for part in parts(isinstance(reader.postgresql, PostgreSQL)):
        if isinstance(part, tuple):
            reader.follow(*part)
        for words, step in steps.items():
            if isinstance(part, str) and words in part:
                step()

    assert page.evaluate("window.isTheSamePage")
    assert "Traceback" not in reader.log()


def open_live(page: Page, reader: Reader) -> None:
    page.goto(f"http://127.0.0.1:{reader.port}/")
    expect(page.locator("live-status")).to_have_attribute("data-state", "live")
    expect(page.get_by_text("0 in stock")).to_be_visible()
    page.evaluate("() => { window.isTheSamePage = true; }")


def parts(is_postgresql: bool) -> Iterator[str | tuple[str, str]]:
    """Yield the page's paragraphs and its blocks, as language and text, in their order.

    What is for PostgreSQL alone comes where the page says: before ``migrate`` is run.
    """
    special = [(language, text) for language, only, text in BLOCKS if only]
    for part in re.split(r"(^```.*?^```$)", PAGE, flags=re.DOTALL | re.MULTILINE):
        block = re.fullmatch(r"```(\S+)( postgresql)?\n(.*)```", part, re.DOTALL)
        if block is None:
            yield part
        elif not block[2]:
            if "manage.py migrate" in block[3] and is_postgresql:
                yield from special
            yield block[1], block[3]


def test_every_block_of_the_tutorial_is_understood():
    """Otherwise one would be left out without a word."""
    assert PAGE.count("```") == 2 * len(BLOCKS)
    assert {language for language, _, _ in BLOCKS} == {"sh", "diff", "python", "django", "html", "text"}
