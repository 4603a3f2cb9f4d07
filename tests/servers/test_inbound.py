"""What one connection sends: in pieces, in order, and no quicker than it is taken."""

import asyncio
import logging

import pytest

from realtime.servers import inbound as module
from realtime.servers.inbound import MAX_CONTROLS, Controls, Inbound
from tests.conftest import until


class Pipe:
    """A connection: what has been handed on, whether it is read from, whether it was dropped."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.is_read, self.is_dropped = True, False
        self.fault: Exception | None = None
        self.inbound = Inbound(self._hand_on, self._pause, self._resume, self._drop)

    @property
    def read(self) -> bytes:
        return b"".join(self.pieces)

    def _hand_on(self, piece: bytes) -> None:
        if self.fault is not None:
            raise self.fault
        self.pieces.append(piece)

    def _pause(self) -> None:
        self.is_read = False

    def _resume(self) -> None:
        self.is_read = True

    def _drop(self) -> None:
        self.is_dropped = True


@pytest.fixture
def pipe() -> Pipe:
    return Pipe()


async def test_what_is_short_goes_on_at_once(pipe):
    """An honest client's messages wait for nothing."""
    pipe.inbound.take(b"x" * Inbound.PIECE_BYTES)

    assert pipe.read == b"x" * Inbound.PIECE_BYTES
    assert pipe.is_read


async def test_what_is_long_goes_on_piece_by_piece_and_others_have_their_turn(pipe):
    """Nothing more is read meanwhile; in the end everything has come, in order."""
    sent, turns = bytes(range(256)) * 40, 0

    pipe.inbound.take(sent)
    while pipe.read != sent:
        assert not pipe.is_read
        await asyncio.sleep(0)
        turns += 1

    assert pipe.is_read
    assert turns >= 10
    assert max(map(len, pipe.pieces)) == Inbound.PIECE_BYTES


async def test_nothing_goes_on_while_somebody_is_waited_for(pipe):
    """What has been read is kept; more is not read; when all are ready it goes on."""
    pipe.inbound.wait_for("application")
    pipe.inbound.wait_for("reader")
    pipe.inbound.take(b"first ")
    pipe.inbound.take(b"second")
    pipe.inbound.ready("application")
    await asyncio.sleep(0.01)
    assert pipe.read == b""
    assert not pipe.is_read

    pipe.inbound.ready("reader")

    await until(lambda: pipe.read == b"first second")
    assert pipe.is_read


async def test_a_connection_is_read_while_it_says_nothing(pipe):
    """However long somebody is waited for: only so is it noticed that it has gone."""
    pipe.inbound.wait_for("application")

    assert pipe.is_read


async def test_a_piece_that_makes_somebody_wait_is_the_last_one(pipe):
    """A message queue that is full in the middle of a packet."""
    hand_on = pipe.inbound._hand_on
    pipe.inbound._hand_on = lambda piece: (hand_on(piece), pipe.inbound.wait_for("application"))

    pipe.inbound.take(b"x" * 3 * Inbound.PIECE_BYTES)
    await asyncio.sleep(0.01)

    assert len(pipe.pieces) == 1


async def test_a_parser_that_fails_ends_its_connection_in_one_line(pipe, lines):
    """What is left goes nowhere."""
    pipe.fault = ValueError("nonsense")

    pipe.inbound.take(b"x" * 3 * Inbound.PIECE_BYTES)
    await until(lambda: pipe.is_dropped)
    pipe.fault = None
    await asyncio.sleep(0.01)

    assert pipe.read == b""
    assert lines(logging.ERROR) == ["connection dropped: ValueError: nonsense"]


async def test_what_a_lost_connection_had_to_say_is_forgotten(pipe):
    """Its parser has gone too."""
    pipe.inbound.take(b"x" * 3 * Inbound.PIECE_BYTES)

    pipe.inbound.close()
    await asyncio.sleep(0.01)

    assert pipe.read == b""


def test_pings_are_counted_for_a_while(monkeypatch):
    """So many in ten seconds, and as many in the next ten."""
    now = 0.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    controls = Controls()

    for _ in range(3):
        assert [controls.has_room() for _ in range(MAX_CONTROLS)] == [True] * MAX_CONTROLS
        assert not controls.has_room()
        now += 11
