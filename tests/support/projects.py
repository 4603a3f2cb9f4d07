"""Fixtures for tests that start servers: projects with the demo boards, each with its own database."""

import fcntl
import os

import pytest

from tests.support import servers
from tests.support.servers import Project


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project to copy; all workers of a run have the same, since to migrate takes a processor four seconds."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "prepared"
    ready = folder / "ready"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            servers.prepare(folder)
            ready.touch()
    return Project(folder)


@pytest.fixture
def project(prepared: Project, tmp_path) -> Project:
    return servers.copy(prepared, tmp_path / "project", HEARTBEAT_SECONDS="2", RECHECK_SECONDS="1")
