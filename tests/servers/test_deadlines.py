"""Connections whose request is incomplete: each has a deadline, and their number is limited."""

import logging
import math

import pytest

from realtime.servers import deadlines as module
from realtime.servers.deadlines import PART_BYTES, BodyDeadline, Deadlines
from tests.conftest import until


@pytest.fixture
def deadlines(monkeypatch) -> Deadlines:
    monkeypatch.setattr(module, "CHECK_SECONDS", 0.01)
    return Deadlines()


async def test_a_connection_is_dropped_at_its_deadline_whatever_it_does_meanwhile(deadlines, lines):
    """Once; the log counts the dropped connections."""
    dropped = []
    deadlines.start("late", 0, lambda: dropped.append("late"))
    deadlines.start("in time", 60, lambda: dropped.append("in time"))

    await until(lambda: dropped)
    await until(lambda: lines(logging.WARNING))

    assert dropped == ["late"]
    assert lines(logging.WARNING) == [
        "dropped 1 connections that sent no complete request in time, 0 to make room"
    ]


async def test_a_cancelled_deadline_drops_nothing(deadlines):
    """Neither does one that was replaced by a later one."""
    dropped = []
    for name in ("cancelled", "more time", "late"):
        deadlines.start(name, 0, lambda name=name: dropped.append(name))

    deadlines.cancel("cancelled")
    deadlines.cancel("never started")
    deadlines.start("more time", math.inf, lambda: dropped.append("more time"))

    await until(lambda: dropped)
    assert dropped == ["late"]


async def test_the_connections_that_have_waited_longest_make_room(deadlines, settings, monkeypatch):
    """A new connection is always accepted: an honest one is done before it is the oldest."""
    monkeypatch.setattr(module, "GRACE_SECONDS", 0)
    settings.REALTIME = {"MAX_HANDSHAKES": 3}
    dropped = []

    for number in range(5):
        deadlines.start(number, 60, lambda number=number: dropped.append(number))
        deadlines.start(0, 60, lambda: dropped.append(0))  # a new deadline: this wait has just begun

    assert dropped == [1, 2]


async def test_no_connection_makes_room_at_once(deadlines, settings):
    """A thousand clients that reconnect in one moment are all accepted."""
    settings.REALTIME = {"MAX_HANDSHAKES": 3}

    for number in range(10):
        deadlines.start(number, 60, lambda: pytest.fail("dropped"))


async def test_the_connections_of_one_address_make_room_for_each_other(deadlines, settings, monkeypatch):
    """Before any of them has sent a request; those of other addresses, and of our proxies, are not concerned."""
    monkeypatch.setattr(module, "GRACE_SECONDS", 0)
    settings.REALTIME = {"MAX_CONNECTIONS_PER_ADDRESS": 2}
    dropped = []

    for number in range(5):
        for address in ("10.0.0.1", None):
            name = (address, number)
            deadlines.start(name, 60, lambda name=name: dropped.append(name), address)
    deadlines.start("other", 60, lambda: dropped.append("other"), "10.0.0.2")

    assert dropped == [("10.0.0.1", 0), ("10.0.0.1", 1), ("10.0.0.1", 2)]


async def test_those_of_one_moment_make_room_when_it_is_over(deadlines, settings, monkeypatch):
    """A server may accept them all before it reads from the first one."""
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.05)
    settings.REALTIME = {"MAX_CONNECTIONS_PER_ADDRESS": 3}
    dropped = []

    for number in range(10):
        deadlines.start(number, 60, lambda number=number: dropped.append(number), "10.0.0.1")
    assert dropped == []

    await until(lambda: len(dropped) == 7)
    assert dropped == [0, 1, 2, 3, 4, 5, 6]


async def test_the_address_with_the_most_makes_room_for_a_full_server(deadlines):
    """The oldest of them, however young; until none is left."""
    dropped = []
    for name, address in [("honest", "10.0.0.2"), ("a", "10.0.0.1"), ("b", "10.0.0.1"), ("c", "10.0.0.1")]:
        deadlines.start(name, 60, lambda name=name: dropped.append(name), address)

    assert [deadlines.make_room() for _ in range(2)] == [True, True]
    assert dropped == ["a", "b"]
    assert [deadlines.make_room() for _ in range(3)] == [True, True, False]


async def test_a_process_that_stops_waits_for_no_client(deadlines):
    """Neither for those that wait already, nor for later ones."""
    dropped = []
    deadlines.start("before", 60, lambda: dropped.append("before"))
    deadlines.hasten(0)
    deadlines.start("after", 60, lambda: dropped.append("after"))

    await until(lambda: dropped == ["before", "after"])


def test_a_body_has_a_deadline_for_each_part_and_one_for_the_whole(settings, monkeypatch):
    """A client that stops one byte before the end waits no longer than one that has not begun."""
    settings.REALTIME = {"HANDSHAKE_SECONDS": 10, "REQUEST_SECONDS": 25}
    now = 0.0
    started: list[float] = []
    monkeypatch.setattr("time.monotonic", lambda: now)
    body = BodyDeadline(started.append)

    for now in (8.0, 16.0, 24.0):  # noqa: B007
        body.count(PART_BYTES - 1)
        body.count(1)
    now = 24.5
    body.count(PART_BYTES - 1)

    assert started == [10, 10, 9, 1]
