"""Server processes for tests: each has its own project in its own folder, and a free port."""

import contextlib
import os
import random
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
START_SECONDS = 120.0
"""How long a server may take to answer its first request: a loaded machine needs many times as long as an idle one."""


def free_port() -> int:
    """Return a port that is free, from below the ranges that systems use for outgoing connections.

    A port from such a range can be taken by any connection before the server listens, or while it restarts. Browsers
    refuse to open some ports; 10080 is the highest of them.
    """
    while True:
        port = random.SystemRandom().randrange(10_081, 32_000)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


class Project:
    """The project with its data in ``folder``, as ``make run`` would create it there."""

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
        """Run a management command in its own process."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=180, check=check,
        )  # fmt: skip

    def connect(self) -> sqlite3.Connection:
        """Return a plain connection to the database, as another program would use."""
        return sqlite3.connect(self.database, timeout=20, isolation_level=None, check_same_thread=False)


class Server:
    """One server process of a project.

    ``name`` is "daphne", "uvicorn", "guarded": uvicorn with our protocol classes, "guarded h11": the same where
    httptools is not installed, or "runserver".
    """

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

    def launch(self) -> None:
        """Start the process, and send it nothing."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command(), cwd=ROOT, env=self._environment(), stdout=log, stderr=subprocess.STDOUT
            )

    def start(self) -> None:
        """Start the process and wait until it answers a request."""
        self.launch()
        self.wait()

    def wait(self) -> None:
        """Wait until the process answers a request."""
        assert self.process is not None
        try:
            wait_until_answering(f"{self.url}/", self.process)
        except RuntimeError as error:
            raise RuntimeError(f"{self.name} {error}:\n{self.log.read_text()}") from error

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop the process with a signal and return its exit status.

        Raises: AssertionError, if the process crashed instead.
        """
        assert self.process is not None
        self.process.send_signal(number)
        try:
            status = self.process.wait(timeout=60)
            assert status != -signal.SIGSEGV, self.log.read_text()
            return status
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def _command(self) -> list[str]:
        application = "config.asgi:application"
        if self.name == "daphne":
            endpoint = f"tcp:port={self.port}:interface={self.host}:backlog=4096"
            return [sys.executable, "-m", "daphne", "-v", "0", "-e", endpoint, *self.options, application]
        if self.name == "runserver":
            return [sys.executable, "manage.py", "runserver", f"{self.host}:{self.port}"]
        guards = [
            "--http", "realtime.servers.uvicorn:GuardedHttp", "--ws", "realtime.servers.uvicorn:GuardedWebSocket",
            "--ws-max-size", "65536",
        ]  # fmt: skip
        return [
            sys.executable, "-m", "uvicorn", application, "--port", str(self.port), "--backlog", "4096",
            "--log-level", "warning", "--timeout-graceful-shutdown", "5",
            *(guards if self.name.startswith("guarded") else []),
        ]  # fmt: skip

    def _environment(self) -> dict[str, str]:
        environment = self.project.environment
        if self.name != "guarded h11":
            return environment
        folder = self.project.folder / "without httptools"
        folder.mkdir(exist_ok=True)
        (folder / "httptools.py").write_text("raise ImportError\n")
        paths = [str(folder), *filter(None, [environment.get("PYTHONPATH")])]
        return {**environment, "PYTHONPATH": os.pathsep.join(paths)}


def wait_until_answering(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server process answers a request, as behind a proxy that terminates TLS.

    Raises: RuntimeError, if the process ends or does not answer in two minutes.
    """
    deadline = time.monotonic() + START_SECONDS
    page = urllib.request.Request(url, headers={"X-Forwarded-Proto": "https"})
    while True:
        with contextlib.suppress(OSError, urllib.error.URLError):
            urllib.request.urlopen(page, timeout=5).close()
            return
        if (status := process.poll()) is not None:
            raise RuntimeError(f"ended with status {status}")
        if time.monotonic() > deadline:
            process.kill()
            raise RuntimeError(f"did not answer in {START_SECONDS} s")
        time.sleep(0.05)


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
    """Return a new project with a migrated database that contains the demo boards."""
    folder.mkdir(parents=True, exist_ok=True)
    project = Project(folder, **environment)
    project.manage("migrate", "--verbosity", "0")
    project.manage("demo")
    return project


def copy(project: Project, folder: Path, **environment: str) -> Project:
    """Return a new project with a copy of this one's data; a hundred times quicker than migrating."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(project.connect()) as source:
        source.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for name in ("db.sqlite3", "secret-key"):
        shutil.copy(project.folder / name, folder / name)
    return Project(folder, **environment)
