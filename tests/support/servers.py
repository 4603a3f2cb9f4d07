"""Real server processes for tests: a project of its own each, in a folder of its own, on a free port."""

import contextlib
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "a-password-for-tests"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Project:
    """The project with its data in ``folder``: what ``make run`` would have made there."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.database = folder / "db.sqlite3"
        self.environment = {
            **os.environ,
            "VAR_DIR": str(folder),
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "EDITOR_PASSWORD": PASSWORD,
            **environment,
        }

    def manage(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a management command in a process of its own."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=60, check=check,
        )  # fmt: skip

    def connect(self) -> sqlite3.Connection:
        """Return a plain connection to the database, as any other program would have one."""
        return sqlite3.connect(self.database, timeout=20, isolation_level=None, check_same_thread=False)


class Server:
    """One server process of a project; ``name`` says which: daphne, uvicorn, or uvicorn guarded."""

    def __init__(
        self,
        project: Project,
        name: str = "daphne",
        port: int | None = None,
        host: str = "127.0.0.1",
        options: Sequence[str] = (),
    ) -> None:
        self.project, self.name, self.host, self.options = project, name, host, options
        self.port = port or free_port()
        self.log = project.folder / f"{name}-{self.port}.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def socket_url(self) -> str:
        return f"ws://{self.host}:{self.port}/realtime/ws/"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command(), cwd=ROOT, env=self.project.environment, stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + 30
        page = urllib.request.Request(f"{self.url}/", headers={"X-Forwarded-Proto": "https"})
        while True:
            with contextlib.suppress(OSError, urllib.error.URLError):
                urllib.request.urlopen(page, timeout=5).close()
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not start:\n{self.log.read_text()}")
            time.sleep(0.05)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop it with a signal and return its exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        try:
            return self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def _command(self) -> list[str]:
        application = "config.asgi:application"
        if self.name == "daphne":
            endpoint = f"tcp:port={self.port}:interface={self.host}:backlog=4096"
            return [sys.executable, "-m", "daphne", "-v", "0", "-e", endpoint, *self.options, application]
        guards = [
            "--http", "realtime.servers.uvicorn:GuardedHttp", "--ws", "realtime.servers.uvicorn:GuardedWebSocket",
            "--ws-max-size", "65536",
        ]  # fmt: skip
        return [
            sys.executable, "-m", "uvicorn", application, "--port", str(self.port), "--backlog", "4096",
            "--log-level", "warning", "--timeout-graceful-shutdown", "5",
            *(guards if self.name == "guarded" else []),
        ]  # fmt: skip


@contextlib.contextmanager
def running(project: Project, name: str = "daphne") -> Iterator[Server]:
    server = Server(project, name)
    server.start()
    try:
        yield server
    finally:
        if server.process is not None and server.process.poll() is None:
            server.stop()


def prepare(folder: Path, **environment: str) -> Project:
    """Return a project with its database migrated and the demo boards in it."""
    folder.mkdir(parents=True, exist_ok=True)
    project = Project(folder, **environment)
    project.manage("migrate", "--verbosity", "0")
    project.manage("demo")
    return project


def copy(project: Project, folder: Path, **environment: str) -> Project:
    """Return a project of its own that begins as a copy; a hundred times quicker than to migrate."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(project.connect()) as source:
        source.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for name in ("db.sqlite3", "secret-key"):
        shutil.copy(project.folder / name, folder / name)
    return Project(folder, **environment)
