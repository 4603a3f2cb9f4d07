"""Projects and servers for the tests in this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import servers
from tests.support.databases import postgresql  # noqa: F401
from tests.support.projects import prepared, project  # noqa: F401
from tests.support.servers import Server
from tests.support.valkey import shared_valkey, valkey  # noqa: F401


def pytest_collection_modifyitems(items) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.server)


@pytest.fixture(params=["daphne", "uvicorn"])
def server(request, project) -> Iterator[Server]:  # noqa: F811
    """A running server of that project, once on each kind of server."""
    with servers.running(project, request.param) as server:
        yield server


@pytest.fixture
def daphne(project) -> Iterator[Server]:  # noqa: F811
    with servers.running(project) as server:
        yield server
