"""Arrivals: a client that opens connections without end cannot have all of them parsed."""

import asyncio

import pytest

from realtime.servers import arrivals as module
from realtime.servers.arrivals import Arrivals
from realtime.servers.inbound import Inbound
from tests.conftest import until

ADDRESS = "192.0.2.1"


class Connection:
    """Sends one request at once; ``parsed`` is what the server has looked at."""

    def __init__(self, arrivals: Arrivals, address: str | None) -> None:
        self.parsed: list[bytes] = []
        inbound = Inbound(self.parsed.append, self._nothing, self._nothing, self._nothing)
        arrivals.admit(address, inbound)
        inbound.receive(b"GET / HTTP/1.1\r\n\r\n")

    def _nothing(self) -> None: ...


@pytest.fixture
def now() -> list[float]:
    return [1000.0]


@pytest.fixture
def arrivals(now, settings, monkeypatch) -> Arrivals:
    settings.REALTIME = {**settings.REALTIME, "MAX_CONNECTIONS_PER_ADDRESS": 2}
    monkeypatch.setattr(module, "HELD_SECONDS", 0.01)
    return Arrivals(lambda: now[0])


async def test_an_address_may_open_ten_times_as_many_connections_as_it_may_have(arrivals):
    """Pages that are all loaded at once, from an office behind one address, are parsed at once."""
    connections = [Connection(arrivals, ADDRESS) for _ in range(21)]

    assert [bool(connection.parsed) for connection in connections] == [True] * 20 + [False]


async def test_what_comes_too_fast_is_parsed_a_moment_later(arrivals):
    """An honest client of the same address is delayed, not refused."""
    *_, last = [Connection(arrivals, ADDRESS) for _ in range(21)]

    await until(lambda: last.parsed)


async def test_after_a_pause_connections_are_parsed_at_once_again(arrivals, now):
    """Those that were held back are no debt."""
    for _ in range(1000):
        Connection(arrivals, ADDRESS)

    now[0] += 1

    assert [bool(Connection(arrivals, ADDRESS).parsed) for _ in range(2)] == [True, False]


@pytest.mark.parametrize("address", [None, "198.51.100.1"], ids=["unknown", "another"])
async def test_other_addresses_are_not_concerned(arrivals, address):
    """An unknown one is that of a proxy of ours, which has limits of its own."""
    for _ in range(1000):
        Connection(arrivals, ADDRESS)

    assert Connection(arrivals, address).parsed


async def test_addresses_are_not_remembered_without_bound(arrivals, monkeypatch):
    """A client may have many."""
    monkeypatch.setattr(module, "MAX_REMEMBERED", 3)

    for number in range(10):
        Connection(arrivals, f"192.0.2.{number}")

    assert list(arrivals._buckets) == ["192.0.2.7", "192.0.2.8", "192.0.2.9"]


async def test_a_held_connection_that_is_lost_is_not_parsed(arrivals):
    """That is the purpose: a client that is gone by then has cost next to nothing."""
    for _ in range(20):
        Connection(arrivals, ADDRESS)
    parsed: list[bytes] = []
    inbound = Inbound(parsed.append, *[lambda: None] * 3)
    arrivals.admit(ADDRESS, inbound)
    inbound.receive(b"GET / HTTP/1.1\r\n\r\n")

    inbound.close()
    await asyncio.sleep(0.05)

    assert parsed == []
