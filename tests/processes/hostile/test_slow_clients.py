"""Clients that send slowly, or do not read: the server ends their connections."""

import contextlib
import itertools
import time

import pytest

from tests.processes.hostile.conftest import guarded
from tests.support import attacks
from tests.support.attackers import PATIENCE_SECONDS, Address, Attacker, greeted, head
from tests.support.servers import Server

STREAM = head(start=b"GET /realtime/sse/?topic=entries.1 HTTP/1.1")


@guarded
@pytest.mark.parametrize("name", ["silence", "tricklers", "slow bodies"])
def test_an_unfinished_request_is_ended(address: Address, name: str) -> None:
    """The time limit holds for hundreds of connections, and however often a byte arrives.

    Other clients complete their handshakes meanwhile.
    """
    with attacks.running(name, address, PATIENCE_SECONDS) as attack:
        with greeted(address) as other:
            assert b'"welcome"' in other.read
        result = attack.result()

    assert result["ended"] == result["opened"]


@guarded
def test_a_later_request_of_a_connection_has_the_same_time_limit(address: Address) -> None:
    """Each byte of it would extend the server's own time-out, which counts from the last byte."""
    with Attacker(address, head(start=b"GET /realtime/topics/entries.1/ HTTP/1.1")) as attacker:
        attacker.receive_until(b'"position"')
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not attacker.is_over:
            assert time.monotonic() < deadline, "the request may go on without end"
            attacker.send_without_waiting(b"G")
            with contextlib.suppress(TimeoutError):
                attacker.receive_until(seconds=0.2)


def test_a_client_that_sends_but_does_not_read_is_ended(server: Server, address: Address) -> None:
    """Its connection ends when the write buffer has not shrunk for a while, whatever it sends meanwhile."""
    with contextlib.ExitStack() as stack:
        attackers = [stack.enter_context(greeted(address)) for _ in range(3)]
        for attacker in attackers:
            attacker.send(attacks.SUBSCRIBE)
        attackers += [stack.enter_context(Attacker(address, STREAM)) for _ in range(3)]
        database = stack.enter_context(contextlib.closing(server.project.connect()))
        deadline = time.monotonic() + PATIENCE_SECONDS
        for number in itertools.count():
            if all(attacker.is_over for attacker in attackers):
                break
            assert time.monotonic() < deadline, "a client that does not read stays connected"
            note = f"{number} {'x' * 100_000}"
            database.execute("UPDATE boards_entry SET note = ? WHERE id = 2", [note])
            for attacker in attackers:
                attacker.send_without_waiting(attacks.PING)
            time.sleep(0.05)
