"""What a newcomer does: the project's files in an empty folder, and ``make run``."""

import contextlib
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

from tests.support.client import Client
from tests.support.servers import ROOT, Project, free_port


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

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder, self.port = folder, free_port()
        self.output = folder / "make-run.log"
        kept = {"PATH", "HOME", "LANG", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CONFIG_FILE", "TMPDIR"}
        environment = {name: value for name, value in os.environ.items() if name in kept} | variables
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
        os.killpg(self.process.pid, signal.SIGTERM)  # SIGINT is ignored below a background job
        self.process.wait(timeout=20)


@pytest.fixture
def make_run(clone) -> Iterator:
    started: list[MakeRun] = []

    def start(**variables: str) -> MakeRun:
        started.append(MakeRun(clone, **variables))
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


async def test_two_variables_choose_postgresql_and_redis(make_run, postgresql, shared_valkey):
    """The same with both: addresses, a login, a board that moves; a change in PostgreSQL shows, by way of Valkey."""
    with contextlib.closing(postgresql.connect()) as admin:
        admin.execute("CREATE DATABASE made_to_run")
    run = make_run(DATABASE_URL=postgresql.url("made_to_run"), REDIS_URL=shared_valkey.url)
    run.wait(300)

    assert re.search(r"editor / (\S+)", run.output.read_text())
    async with Client(f"ws://127.0.0.1:{run.port}/realtime/ws/", "entries.1") as client:
        await client.until_snapshot()
        assert any(b"entries.1" in name for name in shared_valkey.command("PUBSUB", "CHANNELS"))
        with contextlib.closing(postgresql.connect("made_to_run")) as database:
            database.execute("UPDATE boards_entry SET value = 'from PostgreSQL' WHERE id = 1")
        await client.until(lambda: "from PostgreSQL" in str(client.replica.rows["1"]))
    run.stop()
    assert "Traceback" not in run.output.read_text()


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"DATABASE_URL": "localhost:5432/name"}, "DATABASE_URL cannot be used; write postgresql://"),
        ({"DATABASE_URL": "mysql://host/name"}, "DATABASE_URL cannot be used; write postgresql://"),
        ({"DATABASE_URL": "postgresql://user@127.0.0.1:1/name"}, "The database does not answer"),
        ({"REDIS_URL": "localhost:6379"}, "REDIS_URL holds 'localhost:6379'; write redis://"),
    ],
    ids=["no scheme", "another database", "nobody there", "redis without scheme"],
)
def test_what_is_wrong_with_a_variable_is_said(variables, words, tmp_path):
    """In a line, without a traceback, and without the password."""
    done = Project(tmp_path, **variables).manage("migrate", check=False)

    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
