"""Frames that are built once for all: any peer reads them."""

import pytest
from websockets.frames import Opcode
from websockets.protocol import Protocol, Side, State

from realtime.frames import frame


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 300_000])
@pytest.mark.parametrize("letter, opcode", [("x", Opcode.TEXT), ("é", Opcode.TEXT), (b"\x00", Opcode.BINARY)])
def test_a_frame_is_what_the_standard_says(size, letter, opcode):
    """Of every length the header has a form for; text is UTF-8."""
    message = letter * size
    peer = Protocol(Side.CLIENT, state=State.OPEN, max_size=None)

    peer.receive_data(frame(message))

    (read,) = peer.events_received()
    assert (read.opcode, read.fin) == (opcode, True)
    assert bytes(read.data) == (message.encode() if isinstance(message, str) else message)
