"""Open files: the limit is raised at start, and connections leave enough of them for the database."""

import asyncio
import logging
import resource
from collections.abc import Iterator
from functools import partial

import pytest

from realtime.access.limits import Places, TooMuch
from realtime.access.visitors import ANONYMOUS
from realtime.servers import open_files
from realtime.servers.deadlines import Deadlines
from realtime.servers.open_files import RESERVED, OpenConnections, max_connections, max_places, raise_limit


@pytest.fixture
def low_limit() -> Iterator[int]:
    """Lower this process's limit for one test, as ``ulimit -Sn`` does; return the one to which it can be raised."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_limit_is_raised_to_what_the_system_allows(low_limit):
    """Systems start processes with 1,024, for the sake of programs that are thirty years old."""
    raise_limit()
    raise_limit()

    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (low_limit, low_limit)


@pytest.mark.parametrize(
    ("allowed", "is_logged"), [(1024, True), (2**31, False)], ids=["too low", "unlimited"]
)
def test_a_limit_that_is_too_low_is_logged(monkeypatch, lines, allowed, is_logged):
    """With what the server does about it."""
    monkeypatch.setattr(open_files, "limits", lambda: (allowed, allowed))

    raise_limit()

    found = [line for line in lines(logging.WARNING) if "no more than 672 connections are accepted" in line]
    assert bool(found) == is_logged


@pytest.mark.parametrize(
    ("files", "connections", "places"),
    [
        (1024, 768, 672),
        (20_000, 20_000 - RESERVED, 10_000),
        (300, 150, 131),
        (2**31, 2**31 - RESERVED, 10_000),
    ],
)
def test_the_limits_of_connections_follow_from_that_of_files(
    monkeypatch, settings, files, connections, places
):
    """Some are left for the database, and some connections for pages and handshakes."""
    monkeypatch.setattr(open_files, "limits", lambda: (files, files))

    assert (max_connections(), max_places()) == (connections, places)
    settings.REALTIME = {"MAX_CONNECTIONS": 10}
    assert max_places() == 10


def test_sockets_and_streams_keep_within_the_files(monkeypatch, settings):
    """Whatever ``MAX_CONNECTIONS`` says."""
    settings.REALTIME = {"MAX_CONNECTIONS": 10_000}
    monkeypatch.setattr(open_files, "limits", lambda: (16, 16))
    places = Places()
    for number in range(7):
        places.enter(f"10.0.0.{number}", ANONYMOUS)

    with pytest.raises(TooMuch, match="no more than 7 connections of this server"):
        places.enter("10.0.0.9", ANONYMOUS)


async def test_a_full_process_drops_connections_that_have_sent_no_request(monkeypatch):
    """Connections of the address with the most are dropped; if there are none, the new one is not accepted."""
    monkeypatch.setattr(open_files, "limits", lambda: (8, 8))
    waiting = Deadlines()
    connections, dropped = OpenConnections(waiting), []

    def drop(connection: int) -> None:
        dropped.append(connection)
        connections.discard(connection)

    for number in range(4):
        assert connections.add(number)
        waiting.start(number, 60, partial(drop, number), "10.0.0.1")
    waiting.cancel(3)  # it is being served

    assert [connections.add(number) for number in range(4, 8)] == [True, True, True, False]
    assert dropped == [0, 1, 2]
    connections.discard(7)
    connections.discard(7)
    await asyncio.sleep(0)
