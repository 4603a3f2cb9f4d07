"""Connections that have yet to say what they want: each has its time, all together their number."""

import logging
import math

import pytest

from realtime.servers import deadlines as module
from realtime.servers.deadlines import Deadlines
from tests.conftest import until


@pytest.fixture
def deadlines(monkeypatch) -> Deadlines:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    return Deadlines()


async def test_a_connection_has_so_long_whatever_it_does_meanwhile(deadlines, lines):
    """Then it is dropped, once, and the log says how many were."""
    dropped = []
    deadlines.expect("late", 0, lambda: dropped.append("late"))
    deadlines.expect("in time", 60, lambda: dropped.append("in time"))

    await until(lambda: dropped)
    await until(lambda: lines(logging.WARNING))

    assert dropped == ["late"]
    assert lines(logging.WARNING) == [
        "1 connections dropped that took too long to say what they want, 0 to make room"
    ]


async def test_what_is_done_is_not_dropped(deadlines):
    """Nor is one that has been given more time."""
    dropped = []
    for name in ("done", "more time", "late"):
        deadlines.expect(name, 0, lambda name=name: dropped.append(name))

    deadlines.done("done")
    deadlines.done("never expected")
    deadlines.expect("more time", math.inf, lambda: dropped.append("more time"))

    await until(lambda: dropped)
    assert dropped == ["late"]


async def test_of_too_many_those_that_have_waited_longest_make_room(deadlines, settings, monkeypatch):
    """A newcomer is always let in: an honest one is done before it is the oldest."""
    monkeypatch.setattr(module, "GRACE_SECONDS", 0)
    settings.REALTIME = {"MAX_HANDSHAKES": 3}
    dropped = []

    for number in range(5):
        deadlines.expect(number, 60, lambda number=number: dropped.append(number))
        deadlines.expect(0, 60, lambda: dropped.append(0))  # has just begun to wait for something else

    assert dropped == [1, 2]


async def test_nobody_makes_room_at_once(deadlines, settings):
    """A thousand who come back in one moment are let in, all of them."""
    settings.REALTIME = {"MAX_HANDSHAKES": 3}

    for number in range(10):
        deadlines.expect(number, 60, lambda: pytest.fail("dropped"))
