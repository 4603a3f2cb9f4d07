"""Fixtures for tests that start servers: projects with the demo boards, each with its own database."""

import pytest

from tests.support import servers
from tests.support.servers import Project


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> Project:
    return servers.prepare(tmp_path_factory.mktemp("prepared"))


@pytest.fixture
def project(prepared, tmp_path) -> Project:
    return servers.copy(prepared, tmp_path / "project", HEARTBEAT_SECONDS="2", RECHECK_SECONDS="1")
