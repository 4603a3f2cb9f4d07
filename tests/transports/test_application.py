"""The outermost application: what holds on every server, before and after the project's application runs."""

import asyncio
import contextlib
import os
import signal
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator

from realtime.access.handshake import MAX_HEADERS
from realtime.service import get_service
from realtime.transports.application import RealtimeApplication
from tests.conftest import PATIENCE_SECONDS, until
from tests.support.asgi import ended, http_scope, socket_scope


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


@pytest.mark.parametrize("stops", ["before", "meanwhile"])
async def test_a_request_without_an_answer_ends_when_the_process_stops(service, settings, monkeypatch, stops):
    """Whatever it waits for: with an answer by which its client tries another server, and without an error."""
    settings.REALTIME = {**settings.REALTIME, "UNREADY_SECONDS": 0}
    monkeypatch.setattr("realtime.service.LAST_SECONDS", 0.01)
    if stops == "before":
        await service.drain(lambda: None)

    async def wait_for_ever(scope, receive, send) -> None:
        await asyncio.Event().wait()

    communicator = ApplicationCommunicator(RealtimeApplication(wait_for_ever), http_scope())
    await communicator.send_input({"type": "http.request"})
    if stops == "meanwhile":
        await until(lambda: service.unanswered)
        await service.drain(lambda: None)

    start = await communicator.receive_output(PATIENCE_SECONDS)
    body = await communicator.receive_output(PATIENCE_SECONDS)
    await communicator.wait(PATIENCE_SECONDS)

    assert start["status"] == 503
    assert b"4512" in body["body"]


async def test_an_answer_that_has_begun_is_not_ended_with_the_process(service, settings, monkeypatch):
    """Servers wait for it; a second answer would be an error."""
    settings.REALTIME = {**settings.REALTIME, "UNREADY_SECONDS": 0}
    monkeypatch.setattr("realtime.service.LAST_SECONDS", 0.0)
    may_end = asyncio.Event()

    async def answer(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await may_end.wait()
        await send({"type": "http.response.body", "body": b"whole"})

    communicator = ApplicationCommunicator(RealtimeApplication(answer), http_scope())
    await communicator.send_input({"type": "http.request"})
    assert (await communicator.receive_output(PATIENCE_SECONDS))["status"] == 200
    await service.drain(lambda: None)
    may_end.set()

    assert (await communicator.receive_output(PATIENCE_SECONDS))["body"] == b"whole"
    await communicator.wait(PATIENCE_SECONDS)


@pytest.mark.parametrize("is_stopping", [True, False])
async def test_a_socket_that_the_server_cancels_is_no_error_of_a_stopping_process(service, is_stopping):
    """uvicorn would log a traceback for each."""
    service.is_closing = is_stopping

    async def wait_for_ever(scope, receive, send) -> None:
        await send({"type": "websocket.accept"})
        await asyncio.Event().wait()

    communicator = ApplicationCommunicator(RealtimeApplication(wait_for_ever), socket_scope())
    await communicator.receive_output(PATIENCE_SECONDS)
    communicator.future.cancel()
    await asyncio.wait([communicator.future])

    assert communicator.future.cancelled() is not is_stopping


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


async def test_on_sigterm_connections_are_moved_before_the_server_stops(application, monkeypatch):
    """A second signal stops it at once; the server's own handler is called by both."""
    stopped: list[int] = []
    servers_own = signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(number))
    may_end = asyncio.Event()
    ports: list[Any] = []

    async def drain(stop_listening) -> None:
        ports.append(stop_listening)
        await may_end.wait()

    try:
        lifespan = ApplicationCommunicator(application, {"type": "lifespan"})
        await lifespan.send_input({"type": "lifespan.startup"})
        await lifespan.receive_output(10)
        monkeypatch.setattr(get_service(), "drain", drain)

        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: ports)
        assert stopped == []
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: stopped)
        may_end.set()
        await until(lambda: len(stopped) == 2)
    finally:
        signal.signal(signal.SIGTERM, servers_own)
    assert len(ports) == 1
    await lifespan.send_input({"type": "lifespan.shutdown"})
    await lifespan.wait(10)


async def test_a_failure_while_connections_are_moved_does_not_keep_the_server_from_stopping(
    application, monkeypatch
):
    """A process manager would kill it later."""
    stopped: list[int] = []
    servers_own = signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(number))

    async def drain(stop_listening) -> None:
        raise RuntimeError("a fault of the engine")

    try:
        lifespan = ApplicationCommunicator(application, {"type": "lifespan"})
        await lifespan.send_input({"type": "lifespan.startup"})
        await lifespan.receive_output(10)
        monkeypatch.setattr(get_service(), "drain", drain)
        with contextlib.suppress(RuntimeError):
            os.kill(os.getpid(), signal.SIGTERM)
            await until(lambda: stopped)
    finally:
        signal.signal(signal.SIGTERM, servers_own)
    await lifespan.send_input({"type": "lifespan.shutdown"})
    await lifespan.wait(10)


@pytest.mark.parametrize("version, headers", [("1.1", [(b"connection", b"close")]), ("2", [])])
async def test_the_next_request_does_not_return_to_a_stopping_server(application, version, headers):
    """A proxy keeps connections open and sends requests of other clients by them; HTTP/2 has no such header."""

    async def answer(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    wrapped = RealtimeApplication(answer)
    scope = {**socket_scope(), "type": "http", "method": "GET", "http_version": version}
    before = await ended(wrapped, scope)
    get_service().dismiss()
    after = await ended(wrapped, scope)

    assert before[0]["headers"] == []
    assert after[0]["headers"] == headers


async def test_an_answer_that_begins_while_the_server_stops_is_the_last_of_its_connection(application):
    """A poll had waited until then; its client polls again at once."""

    async def answer(scope, receive, send) -> None:
        get_service().dismiss()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    scope = {**socket_scope(), "type": "http", "method": "GET", "http_version": "1.1"}

    start, _ = await ended(RealtimeApplication(answer), scope)

    assert start["headers"] == [(b"connection", b"close")]


@pytest.mark.parametrize("name", [b"x", b"cookie", b"x-%d"], ids=["same", "cookies", "distinct"])
@pytest.mark.parametrize(("more", "status"), [(0, 200), (1, 431), (10_000, 431)])
async def test_a_request_has_a_limited_number_of_headers(application, name, more, status):
    """Some servers limit only the bytes of all together, so ten thousand of them would be looked at again and again."""
    headers = [(name % number if b"%" in name else name, b"a") for number in range(MAX_HEADERS + more)]

    async def answer(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    communicator = ApplicationCommunicator(RealtimeApplication(answer), http_scope(headers=headers))
    await communicator.send_input({"type": "http.request"})

    assert (await communicator.receive_output(PATIENCE_SECONDS))["status"] == status
    await communicator.wait()


@pytest.mark.parametrize(("more", "is_accepted"), [(0, True), (1, False), (10_000, False)])
async def test_a_handshake_has_a_limited_number_of_headers(application, more, is_accepted):
    """It is refused before it is accepted: no client of ours sends so many."""
    headers = [(b"x", b"a")] * (MAX_HEADERS + more)

    sent = await ended(RealtimeApplication(accept_and_close), socket_scope(headers=headers))

    assert [event["type"] for event in sent] == ["websocket.accept"] * is_accepted + ["websocket.close"]


@pytest.mark.parametrize(
    ("count", "file", "status"),
    [(1000, False, 200), (1001, False, 400), (50_000, False, 400), (100, True, 200), (101, True, 400)],
)
def test_a_form_has_a_limited_number_of_parts(client, db, count, file, status):
    """Django's own limits, which no setting of this project raises."""
    name = '; filename="b"' if file else ""
    part = f'--x\r\nContent-Disposition: form-data; name="a"{name}\r\n\r\n\r\n'
    body = part * count + "--x--\r\n"

    answer = client.post("/admin/login/", body.encode(), content_type="multipart/form-data; boundary=x")

    assert answer.status_code == status
