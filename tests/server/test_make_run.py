"""What a newcomer does: the project's files in an empty folder, and ``make run``."""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client import Client
from tests.servers import ROOT, free_port


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """The project as git has it, with what has changed since; nothing installed, nothing made."""
    folder = tmp_path_factory.mktemp("clone")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


class MakeRun:
    """``make run`` in a folder, on a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.output = folder / "make-run.log"
        kept = {"PATH", "HOME", "LANG", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CONFIG_FILE", "TMPDIR"}
        environment = {name: value for name, value in os.environ.items() if name in kept}
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                ["make", "run", f"PORT={self.port}"],
                cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def wait(self, seconds: float) -> float:
        """Wait for the first page; return how long it took."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            assert self.process.poll() is None, self.output.read_text()
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5).close()
                return time.monotonic() - began
            except OSError:
                time.sleep(0.1)
        raise AssertionError(self.output.read_text())

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(timeout=20)


@pytest.fixture
def make_run(clone) -> Iterator:
    started: list[MakeRun] = []

    def start() -> MakeRun:
        started.append(MakeRun(clone))
        return started[-1]

    yield start
    for run in started:
        if run.process.poll() is None:
            run.stop()


async def test_a_fresh_copy_reaches_a_moving_page_and_keeps_its_data(make_run, clone):
    """It installs, prints addresses and a login, and the demo board moves; again: at once, with its data."""
    run = make_run()
    run.wait(300)

    said = run.output.read_text()
    assert f"http://127.0.0.1:{run.port}/" in said
    assert f"http://127.0.0.1:{run.port}/admin/" in said
    login = re.search(r"editor / (\S+)", said)
    async with Client(f"ws://127.0.0.1:{run.port}/realtime/ws/", "entries.2") as client:
        await client.until(lambda: len(client.seen) > 3)
    run.stop()
    assert "Traceback" not in run.output.read_text()

    with sqlite3.connect(clone / "var" / "db.sqlite3") as database:
        database.execute("UPDATE boards_entry SET label = 'kept' WHERE id = 1")
    run = make_run()
    run.wait(60)
    said = run.output.read_text()
    assert re.search(r"editor / (\S+)", said)[1] == login[1]
    page = urllib.request.urlopen(f"http://127.0.0.1:{run.port}/boards/departures/").read().decode()
    assert "kept" in page
    assert "Installing" not in said
