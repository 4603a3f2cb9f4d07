"""Clients that make the server keep data: answers that they do not read, requests that they do not end.

On uvicorn with each of its two parsers: by itself one of them has bounds, the other has none. With HOSTILE=1, as
``make versions`` sets it, there are more attacks of each kind.
"""

import contextlib
import time

import pytest

from tests.processes.hostile.conftest import some
from tests.support import attacks
from tests.support.attackers import PATIENCE_SECONDS, Address, Attacker, head, status

pytestmark = pytest.mark.parametrize("victim", ["daphne", "guarded", "guarded h11"], indirect=True)

CALL = head(
    b"Content-Type: application/json", b"Content-Length: 20", start=b"POST /realtime/calls/ HTTP/1.1"
) + b'{"action":"nothing"}'  # fmt: skip
OTHER_ADDRESS = "127.0.0.2"


def test_a_client_that_does_not_read_its_answers_is_ended(address: Address) -> None:
    """Although it keeps its connection open, and has further requests under way."""
    with contextlib.ExitStack() as stack:
        attackers = [stack.enter_context(Attacker(address, attacks.LONG_POLL * 20)) for _ in range(3)]
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not all(attacker.is_over for attacker in attackers):
            assert time.monotonic() < deadline, "a client that does not read stays connected"
            for attacker in attackers:
                attacker.send_without_waiting(head())
            time.sleep(0.05)


@pytest.mark.combinations("victim", "name")
@some(
    ["endless header", "endless trailers", "pipelines"],
    ["endless line", "endless headers", "endless extension", "long extensions"],
)
def test_a_request_without_end_takes_no_memory(address: Address, name: str) -> None:
    """64 KiB, then 431 or the end of the connection; the attackers reconnect."""
    with attacks.running(name, address, 0.5) as attack:
        assert attack.result()["opened"]


@pytest.mark.combinations("victim", "name")
@some(["unread polls", "unread pages"], ["unread refusals", "unread endings"])
def test_answers_that_are_not_read_take_no_memory(address: Address, name: str) -> None:
    """Of long topics and of Django, many for each connection, kept alive or not: an answer waits for its reader."""
    with attacks.running(name, address, 1) as attack:
        assert attack.result()["opened"]


@some(["unfinished bodies"], ["trickled bodies"])
def test_bodies_that_do_not_end_prevent_no_client_from_sending_one(address: Address, name: str) -> None:
    """A client at another address is answered meanwhile, again and again."""
    with attacks.running(name, address, 1) as attack:
        answers = set()
        while not attack.is_over:
            answers.add(status(address, CALL, OTHER_ADDRESS))
        assert attack.result()["opened"]

    assert not answers & {0, 429, 503}
