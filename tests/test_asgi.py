"""The outermost application: what holds on every server, before and after the project's application runs."""

import asyncio
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator

from realtime.asgi import RealtimeApplication
from tests.support.asgi import ended, socket_scope


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
    """The server logs it."""
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


@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_a_client_cannot_set_the_root_path(application, kind):
    """daphne reads it from a header that any client can send: it would be part of every address in a page."""
    seen: list[dict[str, Any]] = []

    async def note(scope, receive, send) -> None:
        seen.append(scope)

    headers = [(b"daphne-root-path", b"//evil.example"), (b"host", b"localhost")]
    scope = {**socket_scope(), "type": kind, "headers": headers, "root_path": "//evil.example"}
    await ended(RealtimeApplication(note), scope)

    assert seen[0]["root_path"] == ""
    assert seen[0]["headers"] == [(b"host", b"localhost")]
    assert scope["root_path"] == "//evil.example", "the server's own scope is left alone"


@pytest.mark.parametrize("path", ["/tide/realtime/ws/", "/realtime/ws/"], ids=["kept", "removed"])
@pytest.mark.parametrize(
    "forced, servers_own",
    [("/tide", ""), (None, "/tide"), ("/tide/", "/other")],
    ids=["setting", "server", "both"],
)
async def test_the_script_prefix_is_the_deployments(application, settings, forced, servers_own, path):
    """By the setting, else by the server's option, whether the proxy leaves it in the path or removes it."""
    settings.FORCE_SCRIPT_NAME = forced
    seen: list[tuple[str, str]] = []

    async def note(scope, receive, send) -> None:
        seen.append((scope["root_path"], scope["path"]))

    await ended(RealtimeApplication(note), {**socket_scope(), "path": path, "root_path": servers_own})

    assert seen == [("/tide", "/tide/realtime/ws/")]


async def test_a_path_that_only_begins_like_the_script_prefix_lies_below_it(application, settings):
    """``/tidemark/`` is not below ``/tide``."""
    settings.FORCE_SCRIPT_NAME = "/tide"
    seen: list[str] = []

    async def note(scope, receive, send) -> None:
        seen.append(scope["path"])

    await ended(RealtimeApplication(note), {**socket_scope(), "path": "/tidemark/"})

    assert seen == ["/tide/tidemark/"]


async def test_the_service_starts_and_stops_with_the_server(application):
    """By lifespan events, if the server sends them."""
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
