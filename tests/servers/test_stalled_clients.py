"""Who takes nothing of what is sent is ended; who takes little is not."""

import logging

import pytest

from realtime.servers.stalled_clients import StalledClients


class Transport:
    """asyncio's, as far as it is asked."""

    def __init__(self, unsent: int) -> None:
        self.unsent, self.is_aborted = unsent, False

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def abort(self) -> None:
        self.is_aborted = True


class Protocol:
    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    async def send(self, event: object) -> None:
        """uvicorn's own."""


@pytest.fixture
def stalls(settings) -> StalledClients:
    settings.REALTIME = {"STALL_SECONDS": 0.001}
    return StalledClients()


async def test_of_whom_nothing_has_moved_between_two_looks_is_ended(stalls, lines):
    """The others read, slowly, or have nothing to read."""
    stalled, slow, idle = transports = [Transport(5000), Transport(5000), Transport(0)]
    for transport in transports:
        stalls.watch(Protocol(transport).send)

    await stalls.look()
    slow.unsent -= 1
    await stalls.look()

    assert [transport.is_aborted for transport in transports] == [True, False, False]
    assert lines(logging.WARNING) == ["1 connections ended that took nothing of what was sent"]
    assert (stalled.unsent, slow.unsent, idle.unsent) == (5000, 4999, 0)


async def test_another_servers_connections_are_left_alone(stalls):
    """Nothing is known of them."""
    stalls.watch(print)

    await stalls.look()
    await stalls.look()


async def test_a_connection_that_has_gone_is_forgotten(stalls):
    """Nobody tells of it."""
    stalls.watch(Protocol(Transport(5000)).send)

    await stalls.look()

    assert not stalls._transports
