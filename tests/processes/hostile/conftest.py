"""Servers under attack: each test attacks one, and afterwards the server and its bystander must be unharmed."""

import contextlib
import os
from collections.abc import Callable, Iterator
from functools import cache

import psutil
import pytest

from tests.processes.hostile.bystander import Bystander
from tests.support import servers
from tests.support.attackers import Address
from tests.support.servers import Project, Server

MIB = 2**20
GUARDED = ["daphne", "guarded"]

guarded = pytest.mark.parametrize("victim", GUARDED, indirect=True)
"""Marks a test of something that uvicorn without our protocol classes does not defend against."""


def some(first: list[str], more: list[str]) -> pytest.MarkDecorator:
    """Parametrize a test by names of attacks; with HOSTILE=1 by more of them."""
    return pytest.mark.parametrize("name", [*first, *(more if "HOSTILE" in os.environ else [])])


@pytest.fixture(scope="package")
def server_named(
    prepared: Project, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Server]]:
    """Return the running server of a name; it has short time limits and is started once for all files here."""
    with contextlib.ExitStack() as stack:

        @cache
        def start(name: str) -> Server:
            project = servers.copy(
                prepared, tmp_path_factory.mktemp("hostile") / "project",
                HANDSHAKE_SECONDS="2", REQUEST_SECONDS="2", STALL_SECONDS="1", HEARTBEAT_SECONDS="2",
                TICK_SECONDS="0.01", MAX_HANDSHAKES="300", LOG_LEVEL="WARNING",
            )  # fmt: skip
            _add_long_topic(project)
            return stack.enter_context(servers.running(project, name))

        yield start


def _add_long_topic(project: Project) -> None:
    """Make entries.2 a topic of some four megabytes."""
    sql = "INSERT INTO boards_entry (board_id, label, note) VALUES (2, ?, ?)"
    with contextlib.closing(project.connect()) as database:
        database.executemany(sql, [(f"{number}", "x" * 10_000) for number in range(400)])


@pytest.fixture(scope="module", params=[*GUARDED, pytest.param("uvicorn", marks=pytest.mark.matrix)])
def victim(
    request: pytest.FixtureRequest, server_named: Callable[[str], Server]
) -> Iterator[tuple[Server, Bystander]]:
    """A server to attack, and a bystander that uses it meanwhile."""
    server = server_named(request.param)
    with attended(server) as bystander:
        yield server, bystander


@contextlib.contextmanager
def attended(server: Server) -> Iterator[Bystander]:
    """Have a bystander use a server during the block."""
    bystander = Bystander(server)
    bystander.start()
    try:
        bystander.wait_for_changes(1)
        yield bystander
    finally:
        bystander.stop()


@pytest.fixture
def server(victim: tuple[Server, Bystander]) -> Iterator[Server]:
    """The server under attack.

    Afterwards it still runs, has logged no traceback and uses at most 100 MiB more, and its bystander receives changes
    through the connection that it had before.
    """
    server, bystander = victim
    assert server.process is not None
    process, log = psutil.Process(server.process.pid), server.log.read_text()
    bystander.seconds.clear()
    memory = process.memory_info().rss

    yield server

    bystander.wait_for_changes(2)  # the second one was made after the attack
    assert bystander.connections == 1
    assert server.process.poll() is None
    more = (process.memory_info().rss - memory) / MIB
    print(f"{server.name}: {more:.0f} MiB more, changes received after {bystander.latencies()}")
    assert more < 100
    assert "Traceback" not in server.log.read_text()[len(log) :]


@pytest.fixture
def address(server: Server) -> Address:
    return server.host, server.port
