"""A server process works before its first request: it publishes or stands by, runs jobs and prunes."""

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support import servers
from tests.support.servers import Project, Server

PATIENCE_SECONDS = 60.0


def holder(project: Project) -> str:
    """Wait until a process has the lease; return its name."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    with project.connect() as database:
        while time.monotonic() < deadline:
            (name,) = database.execute("SELECT holder FROM realtime_sequencer").fetchone() or ("",)
            if name:
                return str(name)
            time.sleep(0.05)
    raise AssertionError("no process has acquired the lease")


@pytest.fixture(params=["daphne", "uvicorn", "runserver"])
def launched(request: pytest.FixtureRequest, prepared: Project, tmp_path: Path) -> Iterator[Server]:
    """A server process without any request."""
    server = Server(servers.copy(prepared, tmp_path / "project"), request.param)
    with server.project.connect() as database:
        database.execute("UPDATE realtime_sequencer SET holder = '', expires_at = NULL")
    server.launch()
    assert server.process is not None
    family = psutil.Process(server.process.pid)
    yield server
    children = family.children(recursive=True)
    server.stop()
    psutil.wait_procs(children, timeout=PATIENCE_SECONDS)


def test_the_engine_starts_with_the_process(launched: Server) -> None:
    """Once: not again with the first request, and not in a process that only watches another one."""
    assert launched.process is not None

    process = int(holder(launched.project).split(":")[1])

    servers.wait_until_answering(f"{launched.url}/realtime/live/", launched.process)
    children = [child.pid for child in psutil.Process(launched.process.pid).children(recursive=True)]
    assert [process] == (children if launched.name == "runserver" else [launched.process.pid])
    log = launched.log.read_text()
    assert log.count("realtime.service: started") == 1
    assert "Traceback" not in log


def test_a_command_starts_no_engine(prepared: Project) -> None:
    """Although it may load what a server loads, the application too."""
    code = (
        "import config.asgi, threading; print('threads', *(thread.name for thread in threading.enumerate()))"
    )

    done = prepared.manage("shell", "--verbosity", "0", "-c", code)

    assert "threads MainThread\n" in done.stdout
    assert "started" not in done.stderr
