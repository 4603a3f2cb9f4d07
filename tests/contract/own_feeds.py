"""For files whose tests need no feeds but their own: each installation of triggers examines the tables of all feeds."""

from collections.abc import Iterator

import pytest

from realtime.feeds import registry
from realtime.publishing import capture
from tests.contract.conftest import Database, copy_of


@pytest.fixture(scope="session")
def prepared(prepared, django_db_blocker) -> Iterator[Database]:
    """The prepared database without the triggers of the project's feeds."""
    with copy_of(prepared) as database:
        with django_db_blocker.unblock(), database.in_preparation():
            capture.uninstall()
        yield database


@pytest.fixture(autouse=True)
def only_own_feeds() -> Iterator[None]:
    """Without the project's feeds; for one test, as they are needed where a database is prepared."""
    of_project = [*registry, *registry.off]
    for feed in of_project:
        registry.remove(feed.name)
    yield
    for feed in of_project:
        registry.add(feed)
