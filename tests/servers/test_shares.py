"""Shares: a client that opens connections without end, or sends what is dear to parse, delays itself."""

import asyncio
import time

import pytest

from realtime.servers import shares as module
from realtime.servers.inbound import Inbound
from realtime.servers.shares import Shares
from tests.conftest import until

ADDRESS = "192.0.2.1"


class Connection:
    """Sends one request at once; ``parsed`` is what the server has looked at."""

    def __init__(self, shares: Shares, address: str | None) -> None:
        self.parsed: list[bytes] = []
        inbound = Inbound(self.parsed.append, self._nothing, self._nothing, self._nothing)
        shares.admit(address, inbound)
        inbound.receive(b"GET / HTTP/1.1\r\n\r\n")

    def _nothing(self) -> None: ...


@pytest.fixture
def now() -> list[float]:
    return [1000.0]


@pytest.fixture
def shares(now, settings, monkeypatch) -> Shares:
    settings.REALTIME = {**settings.REALTIME, "MAX_CONNECTIONS_PER_ADDRESS": 2}
    monkeypatch.setattr(module, "HELD_SECONDS", 0.01)
    return Shares(lambda: now[0])


async def test_an_address_may_open_ten_times_as_many_connections_as_it_may_have(shares):
    """Pages that are all loaded at once, from an office behind one address, are parsed at once."""
    connections = [Connection(shares, ADDRESS) for _ in range(21)]

    assert [bool(connection.parsed) for connection in connections] == [True] * 20 + [False]


async def test_data_that_arrives_too_fast_is_parsed_a_moment_later(shares):
    """An honest client of the same address is delayed, not refused."""
    *_, last = [Connection(shares, ADDRESS) for _ in range(21)]

    await until(lambda: last.parsed)


async def test_after_a_pause_connections_are_parsed_at_once_again(shares, now):
    """Connections that were held back do not count as debt."""
    for _ in range(1000):
        Connection(shares, ADDRESS)

    now[0] += 1

    assert [bool(Connection(shares, ADDRESS).parsed) for _ in range(2)] == [True, False]


@pytest.mark.parametrize("address", [None, "198.51.100.1"], ids=["unknown", "another"])
async def test_other_addresses_are_not_concerned(shares, address):
    """An unknown one is that of a proxy of ours, which has limits of its own."""
    for _ in range(1000):
        Connection(shares, ADDRESS)

    assert Connection(shares, address).parsed


async def test_addresses_are_not_remembered_without_bound(shares, monkeypatch):
    """A client may have many."""
    monkeypatch.setattr(module, "MAX_REMEMBERED", 3)

    for number in range(10):
        Connection(shares, f"192.0.2.{number}")

    assert list(shares._arrivals._buckets) == ["192.0.2.7", "192.0.2.8", "192.0.2.9"]


async def test_a_held_connection_that_is_lost_is_not_parsed(shares):
    """That is the purpose: a client that is gone by then has cost next to nothing."""
    for _ in range(20):
        Connection(shares, ADDRESS)
    parsed: list[bytes] = []
    inbound = Inbound(parsed.append, *[lambda: None] * 3)
    shares.admit(ADDRESS, inbound)
    inbound.receive(b"GET / HTTP/1.1\r\n\r\n")
    last = Connection(shares, ADDRESS)

    inbound.close()
    await until(lambda: last.parsed)

    assert parsed == []


# ---------------------------------------------------------------- parsing


class Flood:
    """A connection that sends ten pieces, each of which takes 100 s of CPU time to parse."""

    def __init__(self, shares: Shares, address: str | None, monkeypatch) -> None:
        self.parsed: list[bytes] = []
        self._taken = 0.0
        monkeypatch.setattr(time, "thread_time", lambda: self._taken)
        inbound = Inbound(self._parse, self._nothing, self._nothing, self._nothing)
        shares.charge(address, inbound)
        inbound.receive(b"x" * (10 * Inbound.PIECE_BYTES))

    def _parse(self, piece: bytes) -> None:
        self._taken += 100
        self.parsed.append(piece)

    def _nothing(self) -> None: ...


async def test_an_address_that_has_used_its_share_of_parsing_waits(shares, now, settings, monkeypatch):
    """It has 0.25 s of a core in each second, and 0.004 s at once for its two connections."""
    monkeypatch.setattr(module, "MAX_PAUSE_SECONDS", 0.001)
    flood = Flood(shares, ADDRESS, monkeypatch)
    await until(lambda: flood.parsed)

    assert shares._pay(ADDRESS, 0.0) > 0
    assert shares._pay("198.51.100.1", 0.0) == 0
    now[0] += 1

    assert shares._pay(ADDRESS, 0.0) == 0


async def test_a_flood_is_parsed_in_the_end(shares, monkeypatch):
    """A connection that waits for its share does not wait for ever."""
    monkeypatch.setattr(module, "MAX_PAUSE_SECONDS", 0.001)

    flood = Flood(shares, ADDRESS, monkeypatch)

    await until(lambda: len(flood.parsed) == 10)


async def test_a_connection_of_a_proxy_does_not_wait(shares, monkeypatch):
    """Its limits are those of the addresses behind it."""
    monkeypatch.setattr(module, "MAX_PAUSE_SECONDS", 3600)

    flood = Flood(shares, None, monkeypatch)

    await until(lambda: len(flood.parsed) == 10)


async def test_nothing_is_parsed_while_an_address_waits_for_its_share(shares, settings, monkeypatch):
    """The next piece waits, and reading with it."""
    settings.REALTIME = {**settings.REALTIME, "MAX_CONNECTIONS_PER_ADDRESS": 100_000}
    monkeypatch.setattr(module, "MAX_PAUSE_SECONDS", 3600)

    flood = Flood(shares, ADDRESS, monkeypatch)
    for _ in range(20):
        await asyncio.sleep(0)

    assert len(flood.parsed) == 3  # 200 s at once: the third piece is the first to leave a debt, of 100 s
