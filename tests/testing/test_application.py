"""The application with its engine inside a test."""

import threading

import pytest
from channels.testing import WebsocketCommunicator
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from realtime.testing import serving
from tests.conftest import PATIENCE_SECONDS

HEADERS = [(b"host", b"localhost"), (b"origin", b"http://localhost")]


async def test_the_engine_runs_while_the_block_does(log, layer):
    """A socket gets a snapshot with an epoch; afterwards no thread of the engine is left."""
    before = set(threading.enumerate())
    async with serving() as application:
        socket = WebsocketCommunicator(application, "/realtime/ws/", HEADERS)
        assert (await socket.connect(PATIENCE_SECONDS))[0]
        await socket.send_json_to({"type": "subscribe", "topic": "boards"})
        while (message := await socket.receive_json_from(PATIENCE_SECONDS))["type"] != "snapshot":
            pass
        await socket.disconnect(timeout=PATIENCE_SECONDS)

    assert not message["position"].startswith(".")
    left = {thread.name for thread in set(threading.enumerate()) - before}
    assert not {name for name in left if name.startswith("realtime-")}


async def test_a_database_in_memory_is_refused_with_the_line_to_add(monkeypatch):
    """There each thread's writes lock out the others, now and then."""
    monkeypatch.setattr(connections["default"], "is_in_memory_db", lambda: True)

    with pytest.raises(ImproperlyConfigured, match=r'"TEST"\] = \{"NAME"'):
        async with serving():
            pass
