"""The outermost application: what holds for every server, before and after ours runs."""

import asyncio
import json
import logging
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from channels.routing import URLRouter

from realtime import service as service_module
from realtime.asgi import RealtimeApplication
from realtime.engine.session import Ending
from realtime.routing import websocket_urlpatterns
from realtime.service import get_service


def socket_scope(path: str = "/realtime/ws/", **more: Any) -> dict[str, Any]:
    return {
        "type": "websocket", "path": path, "subprotocols": [],
        "headers": [(b"host", b"localhost"), (b"origin", b"http://localhost")], **more,
    }  # fmt: skip


async def ended(inner, scope: dict[str, Any]) -> list[dict[str, Any]]:
    """Run an application for a socket that connects; return all it sent, whether it returned or raised."""
    communicator = ApplicationCommunicator(inner, scope)
    await communicator.send_input({"type": "websocket.connect"})
    await asyncio.gather(communicator.future, return_exceptions=True)
    return [communicator.output_queue.get_nowait() for _ in range(communicator.output_queue.qsize())]


async def accept(scope, receive, send) -> None:
    await receive()
    await send({"type": "websocket.accept"})


async def accept_and_raise(scope, receive, send) -> None:
    await accept(scope, receive, send)
    raise RuntimeError("a fault of the application")


async def accept_and_close(scope, receive, send) -> None:
    await accept(scope, receive, send)
    await send({"type": "websocket.close", "code": 4401})


async def raise_at_once(scope, receive, send) -> None:
    raise RuntimeError("a fault of the application")


@pytest.mark.parametrize(
    "inner, codes",
    [(accept, [4500]), (accept_and_raise, [4500]), (raise_at_once, [4500]), (accept_and_close, [4401])],
)
async def test_a_socket_never_outlives_its_application(application, inner, codes):
    """daphne would keep it open and answer its pings; one that was closed is not closed again."""
    sent = await ended(RealtimeApplication(inner), socket_scope())

    assert [event["code"] for event in sent if event["type"] == "websocket.close"] == codes


async def test_a_socket_that_left_is_not_closed(application):
    """Some servers raise at that."""

    async def until_it_leaves(scope, receive, send) -> None:
        await accept(scope, receive, send)
        await receive()

    communicator = ApplicationCommunicator(RealtimeApplication(until_it_leaves), socket_scope())
    await communicator.send_input({"type": "websocket.connect"})
    await communicator.receive_output(10)
    await communicator.send_input({"type": "websocket.disconnect", "code": 1000})
    await communicator.wait(10)

    assert communicator.output_queue.empty()


async def test_a_fault_of_the_application_reaches_the_server(application):
    """It is the server's to log."""
    communicator = ApplicationCommunicator(RealtimeApplication(accept_and_raise), socket_scope())
    await communicator.send_input({"type": "websocket.connect"})

    with pytest.raises(RuntimeError, match="a fault of the application"):
        await communicator.wait(10)


async def test_a_value_error_of_the_application_is_its_own(application):
    """Only a path without a route is an unknown address."""

    async def fail(scope, receive, send) -> None:
        raise ValueError("another fault")

    communicator = ApplicationCommunicator(RealtimeApplication(fail), socket_scope())

    with pytest.raises(ValueError, match="another fault"):
        await communicator.wait(10)


@pytest.mark.parametrize(
    "path", ["/", "/nothing/", "/realtime/ws", "/realtime/ws/x", "/" + "x" * 5000, "/a\nb"]
)
async def test_a_socket_at_an_unknown_address_is_closed_with_a_code(application, lines, path):
    """Accepted first, for browsers to see the code; one line in the log, without a traceback."""
    sent = await ended(application, socket_scope(path))

    assert [(event["type"], event.get("code")) for event in sent] == [
        ("websocket.accept", None), ("websocket.close", 4404),
    ]  # fmt: skip
    (line,) = lines(logging.WARNING)
    assert line.startswith("socket refused: no address")
    assert "\n" not in line
    assert len(line) < 300


@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_a_client_cannot_set_the_root_path(application, kind):
    """daphne takes it from a header that anyone can send: it would go into every address that a page names."""
    seen: list[dict[str, Any]] = []

    async def note(scope, receive, send) -> None:
        seen.append(scope)

    headers = [(b"daphne-root-path", b"//evil.example"), (b"host", b"localhost")]
    scope = {**socket_scope(), "type": kind, "headers": headers, "root_path": "//evil.example"}
    await ended(RealtimeApplication(note), scope)

    assert seen[0]["root_path"] == ""
    assert seen[0]["headers"] == [(b"host", b"localhost")]
    assert scope["root_path"] == "//evil.example", "the server's own scope is left alone"


async def test_the_root_path_is_the_operators(application):
    """Given where the application is made."""
    seen: list[str] = []

    async def note(scope, receive, send) -> None:
        seen.append(scope["root_path"])

    await ended(RealtimeApplication(note, root_path="/tide"), socket_scope())

    assert seen == ["/tide"]


async def test_the_service_starts_and_stops_with_the_server(application):
    """By lifespan, where the server speaks it."""
    lifespan = ApplicationCommunicator(application, {"type": "lifespan"})
    await lifespan.send_input({"type": "lifespan.startup"})
    started = await lifespan.receive_output(10)
    running = {task.get_name() for task in asyncio.all_tasks()}

    await lifespan.send_input({"type": "lifespan.shutdown"})
    stopped = await lifespan.receive_output(10)
    await lifespan.wait(10)

    ours = {
        "realtime-receiver",
        "realtime-floor",
        "realtime-heartbeat",
        "realtime-publisher",
        "realtime-rights",
    }
    assert [started["type"], stopped["type"]] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert ours <= running
    assert not ours & {task.get_name() for task in asyncio.all_tasks()}


async def test_the_first_connection_starts_the_service_where_nothing_else_did(application):
    """daphne speaks no lifespan. Fifty at once start it once."""
    sent = await asyncio.gather(*(ended(RealtimeApplication(accept), socket_scope()) for _ in range(50)))

    assert len(sent) == 50
    assert len([one for one in asyncio.all_tasks() if one.get_name() == "realtime-publisher"]) == 1


async def test_a_server_that_does_not_publish_leaves_that_to_another(application, settings):
    """REALTIME["PUBLISHER"] = False, beside ``manage.py publish``."""
    settings.REALTIME = {**settings.REALTIME, "PUBLISHER": False}

    await get_service().ensure_started()

    assert get_service().publisher is None
    assert "realtime-publisher" not in {task.get_name() for task in asyncio.all_tasks()}


async def test_a_connection_that_is_cut_off_is_told_to_come_back(application, monkeypatch):
    """A server that ends by cancelling its connections: the bye is said in the last moment."""
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


def test_every_ending_of_a_stopping_server_differs():
    """So that its clients do not come back all at once."""
    endings = [service_module.draining() for _ in range(50)]

    assert all(isinstance(ending, Ending) for ending in endings)
    assert len({ending.retry_after_seconds for ending in endings}) > 5
