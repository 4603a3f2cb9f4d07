"""WebSocket frames that violate RFC 6455, or that would become too long: the server ends the connection."""

import os
import zlib

import pytest

from tests.processes.hostile.conftest import guarded
from tests.support.attackers import Address, frame, greeted

FRAMES = {
    "no UTF-8": frame(b"\xff\xfe"),
    "half a letter": frame(b"\xc3"),
    "a surrogate": frame(b"\xed\xa0\x80"),
    "reserved opcode": frame(b"", 3),
    "reserved control opcode": frame(b"", 11),
    "reserved bits": frame(b"{}", rsv=7),
    "compressed, not negotiated": frame(b"{}", rsv=4),
    "no mask": frame(b"{}", is_masked=False),
    "long ping": frame(b"x" * 126, 9),
    "fragmented ping": frame(b"x", 9, fin=False),
    "continuation of no message": frame(b"x", 0),
    "new message inside a message": frame(b"x", fin=False) + frame(b"x"),
    "close of one byte": frame(b"x", 8),
    "close with a reserved code": frame(b"\x03\xed", 8),
    "close with a reason that is no UTF-8": frame(b"\x03\xe8\xff", 8),
    "length of eight exabytes": b"\x81\xff\x7f" + b"\xff" * 7 + b"\0\0\0\0",
    "length beyond 63 bits": b"\x81\xff" + b"\xff" * 8 + b"\0\0\0\0",
    "random bytes": os.urandom(2000),
    "message of a thousand frames": frame(b"x", fin=False) + frame(b"x", 0, fin=False) * 1000,
    "message of a thousand empty frames": frame(fin=False) + frame(b"", 0, fin=False) * 1000,
    "a thousand pings": frame(b"", 9) * 1000,
    "a thousand pongs": frame(b"", 10) * 1000,
}


@guarded
@pytest.mark.parametrize("sent", FRAMES.values(), ids=FRAMES.keys())
def test_an_invalid_frame_ends_its_connection(address: Address, sent: bytes) -> None:
    """It has no other effect, and leaves no traceback in the log."""
    with greeted(address) as attacker:
        attacker.send(sent)

        attacker.receive_until()


@guarded
@pytest.mark.parametrize("size", [100_000, 2**20 + 1, 50_000_000])
def test_a_decompression_bomb_ends_its_connection(address: Address, size: int) -> None:
    """Also where both sides have agreed on compression; the fixture compares the memory of the server."""
    deflate = zlib.compressobj(wbits=-12)
    bomb = deflate.compress(bytes(size)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    offer = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"

    with greeted(address, offer) as attacker:
        attacker.send(frame(bomb[:-4], rsv=4))

        attacker.receive_until()
