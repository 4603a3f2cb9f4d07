"""Clients that send much: many messages, many connections, long messages, endless bodies."""

import contextlib
import time

import pytest

from tests.processes.hostile.conftest import guarded
from tests.support import attacks
from tests.support.attackers import PATIENCE_SECONDS, Address, Attacker, frame, greeted, head

FLOODS = [
    "tiny messages",
    "long messages",
    "bad messages",
    "pings",
    "fragments",
    "endless bodies",
    "forms",
    "noise",
    "abandoned polls",
    "abandoned streams",
    "abandoned handshakes",
    "cookies",
]
RECONNECTS = 20


@guarded
@pytest.mark.combinations("victim", "name")
@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_does_not_keep_changes_from_other_clients(address: Address, name: str) -> None:
    """The attackers send as much as the server reads, and reconnect when it ends their connections."""
    with attacks.running(name, address, 1) as attack:
        assert attack.result()["opened"]


def test_a_thousand_connections_from_one_address_are_accepted(address: Address) -> None:
    """They are idle; another client connects and disconnects beside them again and again."""
    with attacks.running("crowd", address, 2) as crowd:
        for _ in range(RECONNECTS):
            with greeted(address) as client:
                assert b'"welcome"' in client.read
                client.send(frame(b"", 8))
                client.receive_until()

        assert crowd.result()["opened"] == 1000


@guarded
@pytest.mark.parametrize("length", [b"Content-Length: 1000000000", b"Transfer-Encoding: chunked"])
def test_an_endless_body_is_refused(address: Address, length: bytes) -> None:
    """The answer is 413, as soon as the limit is exceeded; the rest of the body is not kept.

    Where the server is so slow that the deadline of a body ends the connection first, it is tried again from another
    address: that of other tests may have used its share.
    """
    deadline = time.monotonic() + 2 * PATIENCE_SECONDS
    for number in range(2, 250):
        answer = _answer_to_endless_body(address, length, f"127.0.0.{number}", deadline)
        if answer or time.monotonic() > deadline:
            break

    assert answer.startswith(b"HTTP/1.1 413 ")


def _answer_to_endless_body(address: Address, length: bytes, source: str, deadline: float) -> bytes:
    """Return the beginning of the answer, empty if the connection ends without one."""
    lines = [b"Content-Type: application/json", length]
    chunk = b"100000\r\n" + bytes(0x100000) + b"\r\n"  # long: the deadline of a body goes on
    with Attacker(address, head(*lines, start=b"POST /nowhere/ HTTP/1.1"), source) as attacker:
        while b"\r\n\r\n" not in attacker.read and not attacker.is_over:
            assert time.monotonic() < deadline, "the body may go on without end"
            attacker.send_without_waiting(chunk)
            with contextlib.suppress(TimeoutError):
                attacker.receive_until(b"\r\n\r\n", 0.001)
        return attacker.read


@guarded
@pytest.mark.parametrize(
    ("size", "frames"), [(20_000, 1), (60_000, 1), (60_000, 3), (500_000, 1), (2**20 + 1, 1), (3_000_000, 3)]
)
def test_a_message_that_is_too_long_closes_its_connection_with_a_code(
    address: Address, size: int, frames: int
) -> None:
    """The code is 4400, from the session or from a guard below it; from uvicorn itself it is 1009."""
    part = size // frames
    with greeted(address) as attacker:
        for number in range(frames):
            attacker.send(frame(b"x" * part, 0 if number else 1, fin=number == frames - 1))

        _, _, close_frame = attacker.receive_until(b"\x88").rpartition(b"\x88")

        assert int.from_bytes(close_frame[1:3]) in {4400, 1009}
