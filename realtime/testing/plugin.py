"""Fixtures for pytest; the package installs them, and ``-p realtime.testing.plugin`` loads them without it.

pytest imports it before there are settings, so everything else is imported where it is used.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .clients import LiveClient


@pytest.fixture
def live_client() -> "Iterator[Callable[..., LiveClient]]":
    """A function that returns an open client of a topic: ``live_client("products.7", user=ann)``."""
    from .clients import LiveClient

    clients: list[LiveClient] = []

    def make(topic: str, **options: Any) -> LiveClient:
        client = LiveClient(topic, **options)
        clients.append(client)
        return client.open()

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client_of_page() -> "Iterator[Callable[..., LiveClient]]":
    """A function that returns an open client of the topic that a page shows: ``client_of_page(client.get("/"))``."""
    from .clients import LiveClient

    clients: list[LiveClient] = []

    def make(response: Any, topic: str = "") -> LiveClient:
        client = LiveClient.of_page(response, topic)
        clients.append(client)
        return client.open()

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def sequence_now() -> Callable[[], None]:
    """A function that sequences everything the test's connection sees, and delivers it to the open clients."""
    from .sequencing import sequence_now

    return sequence_now


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """After the last test, before the database is dropped, close threads and connections that tests left open."""
    from django.apps import apps

    if nextitem is None and apps.ready:
        from .leftovers import close_leftovers

        close_leftovers()
