"""The service of one process: what starts it, and what happens to connections when it stops."""

import asyncio
import json

from asgiref.testing import ApplicationCommunicator
from channels.routing import URLRouter

from realtime import service as service_module
from realtime.asgi import RealtimeApplication
from realtime.engine.session import Ending
from realtime.routing import websocket_urlpatterns
from realtime.service import get_service
from tests.support.asgi import ended, socket_scope


async def leave(scope, receive, send) -> None:
    """An application that ends at once."""


async def test_the_first_connection_starts_the_service_where_nothing_else_did(application):
    """daphne sends no lifespan events. Fifty at once start it once."""
    sent = await asyncio.gather(*(ended(RealtimeApplication(leave), socket_scope()) for _ in range(50)))

    assert len(sent) == 50
    assert len([one for one in asyncio.all_tasks() if one.get_name() == "realtime-publisher"]) == 1


async def test_a_server_can_leave_publishing_to_another_process(application, settings):
    """REALTIME["PUBLISHER"] = False, beside ``manage.py publish``."""
    settings.REALTIME = {**settings.REALTIME, "PUBLISHER": False}

    await get_service().ensure_started()

    assert get_service().publisher is None
    assert "realtime-publisher" not in {task.get_name() for task in asyncio.all_tasks()}


async def test_a_connection_that_is_cut_off_is_asked_to_reconnect(application, monkeypatch):
    """If a server stops by cancelling its connections, the bye is sent in the last moment."""
    monkeypatch.setattr(service_module.random, "uniform", lambda low, high: high)
    communicator = ApplicationCommunicator(
        RealtimeApplication(URLRouter(websocket_urlpatterns)), socket_scope()
    )
    await communicator.send_input({"type": "websocket.connect"})
    for _ in range(2):
        await communicator.receive_output(10)

    communicator.future.cancel()
    await asyncio.gather(communicator.future, return_exceptions=True)

    bye, close = (communicator.output_queue.get_nowait() for _ in range(2))
    bye = json.loads(bye["text"])
    assert (bye["type"], bye["code"], bye["retry_after_seconds"]) == ("bye", 4512, 5.0)
    assert (close["type"], close["code"]) == ("websocket.close", 4512)
    assert communicator.output_queue.empty()


def test_the_endings_of_a_stopping_server_differ():
    """So that its clients do not reconnect all at once."""
    endings = [service_module.draining() for _ in range(50)]

    assert all(isinstance(ending, Ending) for ending in endings)
    assert len({ending.retry_after_seconds for ending in endings}) > 5
