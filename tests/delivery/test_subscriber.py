"""The hub's view of a connection: what every implementation of ``Subscriber`` must have."""

import inspect

import pytest

from realtime.delivery.subscriber import Subscriber
from realtime.transports.connection import Connection

METHODS = [name for name, value in vars(Subscriber).items() if inspect.isfunction(value) and name[0] != "_"]


@pytest.mark.parametrize("name", METHODS)
def test_a_connection_has_the_methods_of_a_subscriber(name):
    """With the same parameters, and none of them a coroutine: the hub does not wait for a connection."""
    required, given = getattr(Subscriber, name), getattr(Connection, name)

    assert list(inspect.signature(given).parameters) == list(inspect.signature(required).parameters)
    assert not inspect.iscoroutinefunction(given)


def test_a_connection_has_the_attributes_of_a_subscriber():
    """Its topics are computed, its visitor and writer are set."""
    assert isinstance(Connection.topics, property)
    assert set(Subscriber.__annotations__) <= set(Connection.__slots__)
