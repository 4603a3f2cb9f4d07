"""A server with few open files, and more idle connections than those."""

import contextlib
import resource
import socket
import urllib.request
from collections.abc import Iterator

import pytest

from tests.support.attackers import PATIENCE_SECONDS, greeted
from tests.support.attacks import SUBSCRIBE
from tests.support.servers import Project, Server

FILES, IDLE = 1024, 1300


class FewFiles(Server):
    """A server that is started as by ``ulimit -n 1024``."""

    def _command(self) -> list[str]:
        return ["/bin/sh", "-c", f'ulimit -n {FILES} && exec "$0" "$@"', *super()._command()]


@pytest.fixture(params=["daphne", "guarded"])
def server(request: pytest.FixtureRequest, project: Project) -> Iterator[Server]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < IDLE + FILES:
        pytest.skip("this process may not open as many connections itself")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    server = FewFiles(project, request.param)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_pages_changes_and_the_database_work_beside_more_idle_connections_than_files(server: Server) -> None:
    """The idle ones make room for each other; those of one address leave most of the files to others."""
    address = server.host, server.port
    with contextlib.ExitStack() as stack:
        for _ in range(IDLE):
            stack.enter_context(socket.create_connection(address, timeout=PATIENCE_SECONDS))

        with urllib.request.urlopen(f"{server.url}/", timeout=PATIENCE_SECONDS) as page:
            assert page.status == 200
        client = stack.enter_context(greeted(address))
        client.send(SUBSCRIBE)
        client.receive_until(b'"snapshot"')
        database = stack.enter_context(contextlib.closing(server.project.connect()))
        database.execute("UPDATE boards_entry SET note = 'among idle ones' WHERE board_id = 1")
        assert b"among idle ones" in client.receive_until(b"among idle ones")

    log = server.log.read_text()
    assert "no more than 672 connections are accepted" in log
    assert "Traceback" not in log
    assert "Too many open files" not in log
