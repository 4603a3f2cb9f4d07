"""Connections whose client reads nothing are ended; a client that reads little keeps its connection."""

import logging

import pytest
import uvicorn  # noqa: F401  (the server whose connections these are)

from realtime.servers.stalled_clients import StalledClients


class Transport:
    """asyncio's, as far as it is used."""

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


async def test_a_connection_whose_buffer_did_not_move_between_two_checks_is_ended(stalls, lines):
    """The clients of the others read slowly, or have nothing to read."""
    stalled, slow, idle = transports = [Transport(5000), Transport(5000), Transport(0)]
    for transport in transports:
        stalls.watch(Protocol(transport).send)

    await stalls.check()
    slow.unsent -= 1
    await stalls.check()

    assert [transport.is_aborted for transport in transports] == [True, False, False]
    assert lines(logging.WARNING) == ["ended 1 connections whose client reads nothing"]
    assert (stalled.unsent, slow.unsent, idle.unsent) == (5000, 4999, 0)


async def test_another_servers_connections_are_left_alone(stalls):
    """Their transports are unknown."""
    stalls.watch(print)

    await stalls.check()
    await stalls.check()


async def test_a_lost_connection_is_forgotten(stalls):
    """Without being reported."""
    stalls.watch(Protocol(Transport(5000)).send)

    await stalls.check()

    assert not stalls._transports
