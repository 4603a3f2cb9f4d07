"""Backpressure for daphne: ``send`` waits while a buffer is full, and the guard learns what has been received."""

import asyncio
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from realtime.servers import backpressure, private_objects, reactor
from realtime.servers.backpressure import reporting_receive, waiting_send


class Protocol:
    """A request or WebSocket of daphne's, as far as it is used."""

    def __init__(self) -> None:
        self.producer = None
        self.sent: list[dict] = []
        self.received = 0

    def registerProducer(self, producer, streaming: bool) -> None:
        assert self.producer is None
        assert streaming
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def application_received(self) -> None:
        self.received += 1


async def handle_reply(protocol: Any, event: dict) -> None:
    protocol.sent.append(event)


@pytest.fixture
def daphne(monkeypatch) -> Protocol:
    """A connection in a process that serves by Twisted's reactor."""
    monkeypatch.setattr(reactor, "is_running", lambda: True)
    return Protocol()


async def test_a_send_waits_while_the_buffer_is_full(daphne):
    """And continues when it is empty, or when the connection is lost."""
    send = waiting_send(partial(handle_reply, daphne))
    for resume in (daphne.producer.resumeProducing, daphne.producer.stopProducing):
        daphne.producer.pauseProducing()
        sending = asyncio.ensure_future(send({"type": "websocket.send"}))
        await asyncio.sleep(0)
        assert not sending.done()

        resume()
        await sending

    assert len(daphne.sent) == 2


async def test_a_send_without_a_producer_cannot_wait(daphne, monkeypatch):
    """Unknown objects, or a version that does not fit: the caller has to limit what it sends."""
    assert waiting_send(partial(handle_reply, SimpleNamespace())) is None

    monkeypatch.setattr(
        backpressure, "fits", lambda feature: feature is not private_objects.Feature.DAPHNE_BACKPRESSURE
    )
    assert waiting_send(partial(handle_reply, daphne)) is None
    assert daphne.producer is None


def test_the_send_of_another_server_waits_by_itself():
    """It is used as it is."""
    send = partial(handle_reply, Protocol())

    assert waiting_send(send) is send


async def test_a_received_message_is_reported_to_daphnes_guard(daphne):
    """Another server's ``receive`` is used as it is."""
    queue: asyncio.Queue = asyncio.Queue()
    receive = reporting_receive(queue.get, partial(handle_reply, daphne))
    queue.put_nowait({"type": "websocket.receive"})
    assert daphne.received == 0

    assert await receive() == {"type": "websocket.receive"}

    assert daphne.received == 1
    assert reporting_receive(queue.get, queue.put) == queue.get
