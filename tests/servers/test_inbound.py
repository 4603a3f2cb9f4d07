"""Bytes that one connection sends: parsed in pieces, in order, and no faster than they are consumed."""

import asyncio
import logging
import time

import pytest

from realtime.servers.inbound import MAX_CONTROLS, Controls, Inbound
from tests.conftest import until


class Pipe:
    """A connection: the parsed pieces, whether it is read from, whether it was dropped."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.is_read, self.is_dropped = True, False
        self.fault: Exception | None = None
        self.inbound = Inbound(self._parse, self._pause, self._resume, self._drop)

    @property
    def read(self) -> bytes:
        return b"".join(self.pieces)

    def _parse(self, piece: bytes) -> None:
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


async def test_short_data_is_parsed_at_once(pipe):
    """The messages of an honest client are not delayed."""
    pipe.inbound.receive(b"x" * Inbound.PIECE_BYTES)

    assert pipe.read == b"x" * Inbound.PIECE_BYTES
    assert pipe.is_read


async def test_long_data_is_parsed_piece_by_piece_with_turns_for_others_between(pipe):
    """Nothing more is read meanwhile; in the end everything has been parsed, in order."""
    sent, turns = bytes(range(256)) * 40, 0

    pipe.inbound.receive(sent)
    while pipe.read != sent:
        assert not pipe.is_read
        await asyncio.sleep(0)
        turns += 1

    assert pipe.is_read
    assert turns >= 10
    assert max(map(len, pipe.pieces)) == Inbound.PIECE_BYTES


async def test_nothing_is_parsed_while_it_is_held(pipe):
    """Data already read is kept; no more is read; parsing resumes when all reasons are released."""
    pipe.inbound.hold("application")
    pipe.inbound.hold("reader")
    pipe.inbound.receive(b"first ")
    pipe.inbound.receive(b"second")
    pipe.inbound.release("application")
    await asyncio.sleep(0.01)
    assert pipe.read == b""
    assert not pipe.is_read

    pipe.inbound.release("reader")

    await until(lambda: pipe.read == b"first second")
    assert pipe.is_read


async def test_a_silent_connection_is_read_while_it_is_held(pipe):
    """Otherwise its loss would not be noticed."""
    pipe.inbound.hold("application")

    assert pipe.is_read


async def test_a_piece_that_holds_the_parser_is_the_last_one(pipe):
    """For example a message queue that becomes full in the middle of a packet."""
    parse = pipe.inbound._parse
    pipe.inbound._parse = lambda piece: (parse(piece), pipe.inbound.hold("application"))

    pipe.inbound.receive(b"x" * 3 * Inbound.PIECE_BYTES)
    await asyncio.sleep(0.01)

    assert len(pipe.pieces) == 1


async def test_a_parser_that_fails_ends_its_connection_in_one_line(pipe, lines):
    """The rest is discarded."""
    pipe.fault = ValueError("nonsense")

    pipe.inbound.receive(b"x" * 3 * Inbound.PIECE_BYTES)
    await until(lambda: pipe.is_dropped)
    pipe.fault = None
    await asyncio.sleep(0.01)

    assert pipe.read == b""
    assert lines(logging.ERROR) == ["connection dropped: ValueError: nonsense"]


async def test_the_rest_of_a_lost_connection_is_discarded(pipe):
    """Its parser is gone too."""
    pipe.inbound.receive(b"x" * 3 * Inbound.PIECE_BYTES)

    pipe.inbound.close()
    await asyncio.sleep(0.01)

    assert pipe.read == b""


def test_pings_are_limited_per_period(monkeypatch):
    """The limit holds for ten seconds, and again for the next ten."""
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    controls = Controls()

    for _ in range(3):
        assert [controls.count() for _ in range(MAX_CONTROLS)] == [True] * MAX_CONTROLS
        assert not controls.count()
        now += 11


async def test_what_is_left_is_handed_over_to_another_parser_which_is_then_the_only_one(pipe):
    """A request that becomes a WebSocket leaves it what follows, in the same bytes or later; reading goes on."""
    pipe.inbound.receive(b"x" * Inbound.PIECE_BYTES + b"rest")
    assert not pipe.is_read

    left = pipe.inbound.hand_over()
    pipe.inbound.receive(b"later")

    assert left == b"x" * Inbound.PIECE_BYTES + b"rest"
    assert pipe.is_read
    assert pipe.read == b""
