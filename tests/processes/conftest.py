"""Fixtures of the tests in this folder: projects, servers, PostgreSQL and Valkey."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import servers
from tests.support.databases import postgresql  # noqa: F401
from tests.support.projects import prepared, project  # noqa: F401
from tests.support.servers import Project, Server
from tests.support.valkey import shared_valkey, valkey  # noqa: F401


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.server)


@pytest.fixture(params=["daphne", "uvicorn"])
def server(request: pytest.FixtureRequest, project: Project) -> Iterator[Server]:  # noqa: F811
    """A running server of the project, once of each kind."""
    with servers.running(project, request.param) as server:
        yield server


@pytest.fixture(scope="module", params=["daphne", "uvicorn"])
def shared(
    request: pytest.FixtureRequest,
    prepared: Project,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """A running server, once of each kind, for all tests of a file that do not depend on what others have done."""
    folder = tmp_path_factory.mktemp("shared") / "project"
    with servers.running(servers.copy(prepared, folder, HEARTBEAT_SECONDS="2"), request.param) as server:
        yield server


@pytest.fixture
def daphne(project: Project) -> Iterator[Server]:  # noqa: F811
    with servers.running(project) as server:
        yield server
