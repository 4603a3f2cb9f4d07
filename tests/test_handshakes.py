"""Connections that have yet to say what they want: each has its time, all together their number."""

import logging
import math

import pytest

from realtime import handshakes as module
from realtime.handshakes import Handshakes
from tests.conftest import until


@pytest.fixture
def handshakes(monkeypatch) -> Handshakes:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    return Handshakes()


async def test_a_connection_has_so_long_whatever_it_does_meanwhile(handshakes, lines):
    """Then it is dropped, once, and the log says how many were."""
    dropped = []
    handshakes.expect("late", 0, lambda: dropped.append("late"))
    handshakes.expect("in time", 60, lambda: dropped.append("in time"))

    await until(lambda: dropped)
    await until(lambda: lines(logging.WARNING))

    assert dropped == ["late"]
    assert lines(logging.WARNING) == [
        "1 connections dropped that took too long to say what they want, 0 to make room"
    ]


async def test_what_is_done_is_not_dropped(handshakes):
    """Nor is one that has been given more time."""
    dropped = []
    for name in ("done", "more time", "late"):
        handshakes.expect(name, 0, lambda name=name: dropped.append(name))

    handshakes.done("done")
    handshakes.done("never expected")
    handshakes.expect("more time", math.inf, lambda: dropped.append("more time"))

    await until(lambda: dropped)
    assert dropped == ["late"]


async def test_of_too_many_those_that_have_waited_longest_make_room(handshakes, settings, monkeypatch):
    """A newcomer is always let in: an honest one is done before it is the oldest."""
    monkeypatch.setattr(module, "GRACE_SECONDS", 0)
    settings.REALTIME = {"MAX_HANDSHAKES": 3}
    dropped = []

    for number in range(5):
        handshakes.expect(number, 60, lambda number=number: dropped.append(number))
        handshakes.expect(0, 60, lambda: dropped.append(0))  # has just begun to wait for something else

    assert dropped == [1, 2]


async def test_nobody_makes_room_at_once(handshakes, settings):
    """A thousand who come back in one moment are let in, all of them."""
    settings.REALTIME = {"MAX_HANDSHAKES": 3}

    for number in range(10):
        handshakes.expect(number, 60, lambda: pytest.fail("dropped"))
