"""Twisted's reactor: guards are installed when it starts, and the service stops before it does."""

import asyncio
import logging
import sys
from types import SimpleNamespace

import pytest
from daphne.http_protocol import HTTPFactory
from twisted.internet.tcp import Port

from realtime.servers import private_objects, reactor
from realtime.servers.daphne import Guards
from realtime.servers.private_objects import Feature
from realtime.servers.request_bodies import RequestBodies
from tests.conftest import until


class Reactor:
    """A reactor that has not started; ``start`` does what Twisted's does."""

    running = False

    def __init__(self) -> None:
        self.port = Port(0, HTTPFactory(SimpleNamespace(ws_factory=SimpleNamespace())))
        self.started: list = []
        self.before_shutdown: list = []

    def callWhenRunning(self, function, *arguments) -> None:
        self.started.append((function, arguments))

    def addSystemEventTrigger(self, phase: str, event: str, function) -> None:
        assert (phase, event) == ("before", "shutdown")
        self.before_shutdown.append(function)

    def callLater(self, seconds: float, function, *arguments) -> None:
        asyncio.get_running_loop().call_later(seconds, function, *arguments)

    def getReaders(self) -> list:
        return [self.port]

    def start(self) -> None:
        self.running = True
        for function, arguments in self.started:
            function(*arguments)


@pytest.fixture
def twisted(monkeypatch) -> Reactor:
    fake = Reactor()
    monkeypatch.setitem(sys.modules, "twisted.internet.reactor", fake)
    return fake


@pytest.fixture
def misfit(monkeypatch) -> None:
    """No feature fits."""
    monkeypatch.setattr(private_objects, "fits", lambda feature: False)


def test_connections_are_guarded_when_the_reactor_starts(twisted):
    """Not before: its ports are not listening yet. Several applications guard them once."""
    for _ in range(2):
        reactor.guard_daphne(RequestBodies)
    assert not isinstance(twisted.port.factory, Guards)
    assert not reactor.is_running()

    twisted.start()

    assert isinstance(twisted.port.factory, Guards)
    assert isinstance(twisted.port.factory.wrappedFactory, HTTPFactory)
    assert reactor.is_running()
    assert reactor.counts_bodies()


def test_a_daphne_that_does_not_fit_runs_without_guards(twisted, misfit):
    """Its bodies are then counted by the application."""
    reactor.guard_daphne(RequestBodies)

    twisted.start()

    assert isinstance(twisted.port.factory, HTTPFactory)
    assert not reactor.counts_bodies()


async def test_the_service_stops_before_the_reactor(twisted):
    """The reactor waits for it."""
    stopped = asyncio.Event()

    async def stop() -> None:
        stopped.set()

    twisted.start()
    reactor.stop_with_reactor(stop)

    (before_shutdown,) = twisted.before_shutdown
    waiting = before_shutdown()
    await asyncio.wait_for(stopped.wait(), 60)
    await asyncio.wait_for(waiting.asFuture(asyncio.get_running_loop()), 60)


async def test_without_a_running_reactor_lifespan_stops_the_service(twisted, monkeypatch):
    """Neither is it registered where Twisted does not fit."""

    async def stop() -> None:
        pytest.fail("not here")

    reactor.stop_with_reactor(stop)
    twisted.start()
    monkeypatch.setattr(private_objects, "fits", lambda feature: feature is not Feature.DAPHNE_STOP)
    reactor.stop_with_reactor(stop)

    assert twisted.before_shutdown == []


async def test_the_engine_starts_with_the_reactor(twisted):
    """Not before: its event loop does not run. A start that fails is logged, once."""
    started = asyncio.Event()

    async def start() -> None:
        started.set()

    reactor.start_with_reactor(start)
    await asyncio.sleep(0)
    assert not started.is_set()

    twisted.start()

    await asyncio.wait_for(started.wait(), 60)


async def test_an_engine_that_cannot_start_is_logged(twisted, lines):
    """Each request then reports the same, with its traceback."""

    async def start() -> None:
        raise RuntimeError("no channel layer")

    reactor.start_with_reactor(start)
    twisted.start()

    await until(lambda: lines(logging.ERROR))
    assert lines(logging.ERROR) == ["the engine cannot start, requests fail: no channel layer\nTraceback"]


async def test_nothing_starts_where_daphne_is_not_loaded(twisted, monkeypatch):
    """uvicorn reports its start by a lifespan event."""
    monkeypatch.delitem(sys.modules, private_objects.SERVERS["daphne"])

    async def start() -> None:
        pytest.fail("not here")

    reactor.start_with_reactor(start)

    assert twisted.started == []
