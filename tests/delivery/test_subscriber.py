"""The hub's view of a connection: what every implementation of ``Subscriber`` must have."""

import inspect

import pytest

from realtime.delivery.subscriber import Subscriber, for_each
from realtime.engine.codes import Code
from realtime.transports.connection import Connection
from tests.delivery.conftest import Follower

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


class Unclosable(Follower):
    def end(self, ending):
        super().end(ending)
        raise RuntimeError("not even this")


@pytest.mark.parametrize("kind", [Follower, Unclosable])
def test_one_that_fails_is_closed_and_the_others_go_on(kind, lines):
    """It is logged, also if it cannot be closed."""
    bad = [kind("boards") for _ in range(2)]
    good = [Follower("boards") for _ in range(2)]
    done = []

    def act(subscriber):
        if subscriber in bad:
            raise RuntimeError("broken")
        done.append(subscriber)

    for_each([bad[0], good[0], bad[1], good[1]], act)

    assert done == good
    assert [one.ended and one.ended.code for one in bad] == [Code.INTERNAL] * 2
    assert [one.ended for one in good] == [None, None]
    assert sum("a connection has failed and is closed: broken" in line for line in lines()) == 2


def test_a_set_may_lose_members_meanwhile():
    """A subscriber that is closed leaves."""
    subscribers = {Follower("boards") for _ in range(3)}

    for_each(subscribers, subscribers.discard)

    assert subscribers == set()
