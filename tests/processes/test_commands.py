"""Commands in processes of their own: with a server, a terminal, Ctrl-C, a closed pipe, and without a database."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from tests.processes.sockets import PATIENCE_SECONDS
from tests.support import servers
from tests.support.servers import ROOT, Project, Server


@pytest.fixture(scope="module")
def server(prepared: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests: which server it is does not matter to commands."""
    project = servers.copy(prepared, tmp_path_factory.mktemp("commands") / "project", HEARTBEAT_SECONDS="2")
    with servers.running(project, "uvicorn") as server:
        yield server


def start(project: Project, *arguments: str, stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT, env=project.environment, stdout=stdout, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def read_until(process: subprocess.Popen[str], words: str) -> None:
    """Read lines up to one with these words; a process that writes none is killed."""
    limit = threading.Timer(PATIENCE_SECONDS, process.kill)
    limit.start()
    while words not in (line := process.stdout.readline()):
        assert line, f"it has ended without {words!r}"
    limit.cancel()


def interrupted(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Press Ctrl-C; return exit status and what was written to stderr."""
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    return process.returncode, errors


@pytest.mark.parametrize("is_of_server", [False, True], ids=["database", "server"])
def test_a_topic_is_watched_until_ctrl_c(server: Server, is_of_server: bool) -> None:
    """Lines of JSON, each as soon as the row has changed."""
    url = ["--url", server.url] if is_of_server else []
    process = start(server.project, "realtime_watch", "entries.1", *url)
    read_until(process, '"op": "upsert"')

    label = f"watched {time.monotonic()}"
    server.project.connect().execute("UPDATE boards_entry SET label = ? WHERE id = 1", [label])
    read_until(process, label)

    assert interrupted(process) == (130, "")


def test_in_a_terminal_it_is_a_table(server: Server) -> None:
    """Which ends by Ctrl-C as well."""
    mine, theirs = pty.openpty()
    process = start(server.project, "realtime_watch", "entries.1", stdout=theirs)
    os.close(theirs)
    shown, ends = "", time.monotonic() + PATIENCE_SECONDS
    while not re.search(r"\d+ rows.*live", shown):
        assert time.monotonic() < ends, shown
        if select.select([mine], [], [], 1)[0]:
            shown += os.read(mine, 65536).decode(errors="replace")

    assert "entries.1" in shown
    os.killpg(process.pid, signal.SIGINT)
    process.stderr.close()
    assert process.wait(PATIENCE_SECONDS) == 130
    os.close(mine)


def test_a_closed_pipe_is_no_error(server: Server) -> None:
    """As in ``realtime_tail -f | head -1``."""
    process = start(server.project, "realtime_watch", "entries.1")
    read_until(process, '"op": "upsert"')
    process.stdout.close()
    database = server.project.connect()
    ends = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None:
        assert time.monotonic() < ends
        database.execute("UPDATE boards_entry SET label = ? WHERE id = 1", [f"pipe {time.monotonic()}"])
        time.sleep(0.05)

    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.returncode == 0


def test_a_bench_prints_its_figures(server: Server) -> None:
    """Without a write, and with one: every client has every change."""
    asked = server.project.manage("realtime_bench", server.url, "--followers", "20", "--seconds", "1")
    written = server.project.manage(
        "realtime_bench", server.url, "--followers", "20", "--seconds", "1", "--topic", "entries.1",
        "--write", "UPDATE boards_entry SET note = %s WHERE id = 1",
    )  # fmt: skip

    assert re.search(r"20 clients, 0 lost, \d+ of \d+ heartbeats asked for", asked.stdout)
    assert "20 clients, 0 lost, 100 of 100 changes received" in written.stdout
    for report in (asked.stdout, written.stdout):
        assert re.search(r"latency in ms: p50 [\d.]+, p90 [\d.]+, p99 [\d.]+, max", report)
        assert "CPU of the server" in report


@pytest.mark.parametrize(
    "database, command",
    [("", ["realtime_watch", "boards"]), ("postgresql://nobody@127.0.0.1:1/none", ["realtime_tail"])],
    ids=["no tables", "no server"],
)
def test_without_a_database_a_command_says_what_to_do(tmp_path, database: str, command: list[str]) -> None:
    """In one sentence."""
    done = Project(tmp_path, DATABASE_URL=database).manage(*command, check=False)

    assert done.returncode == 1
    assert re.fullmatch(r"CommandError: database: .+; .+\n", done.stderr)
