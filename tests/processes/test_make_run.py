"""``make run`` in a fresh copy of the project's files, as a newcomer runs it."""

import contextlib
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.client import Client
from tests.support.databases import PostgreSQL
from tests.support.servers import ROOT, START_SECONDS, Project, free_port
from tests.support.valkey import Valkey

INSTALL_SECONDS = 600.0
"""How long the first run may take, which installs every package."""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the files that git tracks or would track, as they are now: without an environment or data."""
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
    """``make run`` in a folder, on its own port."""

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

    def wait(self, seconds: float) -> None:
        """Wait until the first page is served."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.output.read_text()
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5).close()
                return
            except OSError:
                time.sleep(0.1)
        raise AssertionError(self.output.read_text())

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)  # background jobs ignore SIGINT
        self.process.wait(timeout=60)


@pytest.fixture
def make_run(clone: Path) -> Iterator[Callable[..., MakeRun]]:
    """Start ``make run`` with environment variables."""
    started: list[MakeRun] = []

    def start(**variables: str) -> MakeRun:
        started.append(MakeRun(clone, **variables))
        return started[-1]

    yield start
    for run in started:
        if run.process.poll() is None:
            run.stop()


async def test_a_fresh_copy_serves_a_changing_page_and_keeps_its_data(
    make_run: Callable[..., MakeRun], clone: Path
) -> None:
    """It installs, prints addresses and a login, and the demo board changes; the next run keeps login and data."""
    run = make_run()
    run.wait(INSTALL_SECONDS)

    printed = run.output.read_text()
    assert f"http://127.0.0.1:{run.port}/" in printed
    assert f"http://127.0.0.1:{run.port}/admin/" in printed
    login = re.search(r"editor / (\S+)", printed)
    assert login is not None
    async with Client(f"ws://127.0.0.1:{run.port}/realtime/ws/", "entries.2") as client:
        await client.until(lambda: len(client.seen) > 3)
    run.stop()
    assert "Traceback" not in run.output.read_text()

    with sqlite3.connect(clone / "var" / "db.sqlite3") as database:
        database.execute("UPDATE boards_entry SET label = 'kept' WHERE id = 1")
    run = make_run()
    run.wait(START_SECONDS)
    printed = run.output.read_text()
    assert f"editor / {login[1]}" in printed
    page = urllib.request.urlopen(f"http://127.0.0.1:{run.port}/boards/departures/").read().decode()
    assert "kept" in page
    assert "Installing" not in printed


async def test_two_variables_select_postgresql_and_redis(
    make_run: Callable[..., MakeRun], postgresql: PostgreSQL, shared_valkey: Valkey
) -> None:
    """It prints a login, a topic's group is at Valkey, and a change made in PostgreSQL arrives."""
    with contextlib.closing(postgresql.connect()) as admin:
        admin.execute("CREATE DATABASE made_to_run")
    run = make_run(DATABASE_URL=postgresql.url("made_to_run"), REDIS_URL=shared_valkey.url)
    run.wait(INSTALL_SECONDS)

    assert re.search(r"editor / (\S+)", run.output.read_text())
    async with Client(f"ws://127.0.0.1:{run.port}/realtime/ws/", "entries.1") as client:
        await client.until_snapshot()
        channels = shared_valkey.command("PUBSUB", "CHANNELS")
        assert isinstance(channels, list)
        assert any(b"entries.1" in name for name in channels)
        with contextlib.closing(postgresql.connect("made_to_run")) as database:
            database.execute("UPDATE boards_entry SET value = 'from PostgreSQL' WHERE id = 1")
        await client.until_row("1", "from PostgreSQL")
    run.stop()
    assert "Traceback" not in run.output.read_text()


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"DATABASE_URL": "localhost:5432/name"}, "DATABASE_URL cannot be used; write postgresql://"),
        ({"DATABASE_URL": "mysql://host/name"}, "DATABASE_URL cannot be used; write postgresql://"),
        (
            {"DATABASE_URL": "postgresql://user@127.0.0.1:1/name"},
            "; start the database, or correct its address in",
        ),
        ({"REDIS_URL": "localhost:6379"}, "REDIS_URL holds 'localhost:6379'; write redis://"),
    ],
    ids=["no scheme", "another database", "closed port", "redis without scheme"],
)
def test_an_invalid_variable_is_reported(variables: dict[str, str], words: str, tmp_path: Path) -> None:
    """The command prints what to write instead, without a traceback."""
    done = Project(tmp_path, **variables).manage("migrate", check=False)

    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_that_refuses_a_command_is_reported_with_what_to_do(tmp_path: Path) -> None:
    """It does answer: the file is not a database, may not be written, or the role lacks a right."""
    project = Project(tmp_path)
    project.database.write_text("no database " * 100)

    done = project.manage("migrate", check=False)

    assert done.returncode == 1
    assert done.stderr.strip() == (
        "The database: file is not a database; restore a backup, or correct the path: the file is something else"
    )


@pytest.mark.parametrize("command", ["migrate", "demo"])
def test_a_role_without_rights_is_told_the_right(
    postgresql: PostgreSQL, tmp_path: Path, command: str
) -> None:
    """As a command that is run as another role than the owner of the tables."""
    with contextlib.closing(postgresql.connect()) as admin:
        admin.execute("CREATE DATABASE refused")
        admin.execute("CREATE ROLE stranger LOGIN")
    try:
        Project(tmp_path, DATABASE_URL=postgresql.url("refused")).manage("migrate")

        stranger = Project(tmp_path, DATABASE_URL=postgresql.url("refused", "stranger"))
        done = stranger.manage(command, check=False)
    finally:
        postgresql.drop("refused")
        with contextlib.closing(postgresql.connect()) as admin:
            admin.execute("DROP ROLE stranger")

    assert done.returncode == 1
    assert "GRANT SELECT ON TABLE" in done.stderr
    assert "Traceback" not in done.stderr
