"""The service of one process: what starts it, and what happens to connections when it stops."""

import asyncio
import json
import random
import threading
from itertools import pairwise
from weakref import WeakKeyDictionary

import pytest
from asgiref.testing import ApplicationCommunicator
from channels.routing import URLRouter

from realtime import service as service_module
from realtime.access.handshake import Handshake
from realtime.access.limits import TooMuch
from realtime.access.tickets import BadTicket, issue
from realtime.access.visitors import Visitor
from realtime.checks import database as database_checks
from realtime.engine.session import Ending
from realtime.routing import websocket_urlpatterns
from realtime.runtime.threads import DatabaseThreads
from realtime.service import Service, connections_open, get_service, running_service
from realtime.transports.application import RealtimeApplication
from tests.conftest import until
from tests.delivery.conftest import Follower
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
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
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


def handshake(query: bytes = b"", **headers: str) -> Handshake:
    scope = {
        "type": "websocket", "path": "/realtime/ws/", "query_string": query, "client": ["192.0.2.7", 9],
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    return Handshake.from_scope(scope)


async def test_an_event_loop_has_one_service(service, monkeypatch):
    """Another loop of the process has its own, and none until it is needed."""
    # Without the loops of earlier tests: the garbage collector may not have found them yet, or been told to leave them.
    only = WeakKeyDictionary({asyncio.get_running_loop(): service})
    monkeypatch.setattr(service_module, "_services", only)
    others = []
    thread = threading.Thread(target=lambda: others.append(asyncio.run(_running())))
    thread.start()
    await asyncio.to_thread(thread.join)

    assert get_service() is running_service() is service
    assert others == [None]
    assert connections_open() == 0


async def _running():
    return running_service()


async def test_a_ticket_identifies_its_user_and_counts_for_its_session(service, in_database, settings):
    """The place of a visitor without cookies is that of the ticket's session."""
    settings.REALTIME = {**settings.REALTIME, "MAX_CONNECTIONS_PER_SESSION": 1}
    tickets = [await in_database(issue, Visitor("a session")) for _ in range(2)]

    visitor, _ = await service.admit(handshake(f"ticket={tickets[0]}".encode()))

    assert visitor.session == "a session"
    with pytest.raises(TooMuch):
        await service.admit(handshake(f"ticket={tickets[1]}".encode()))


async def test_a_refused_connection_has_no_place(service, settings):
    """Otherwise bad tickets would use up the limit of their address."""
    settings.REALTIME = {**settings.REALTIME, "MAX_CONNECTIONS_PER_ADDRESS": 1}

    for _ in range(3):
        with pytest.raises(BadTicket):
            await service.admit(handshake(b"ticket=unknown"))


async def test_a_limit_reached_through_an_unknown_proxy_is_logged_with_a_solution(service, settings, lines):
    """All clients behind a proxy that is not configured share its address."""
    settings.REALTIME = {**settings.REALTIME, "MAX_CONNECTIONS_PER_ADDRESS": 1, "PROXIES": 0}
    await service.admit(handshake())

    with pytest.raises(TooMuch):
        await service.admit(handshake(x_forwarded_for="198.51.100.1"))

    assert any("set REALTIME['PROXIES']" in line for line in lines())


async def test_a_service_stops_once(service, lines):
    """Lifespan and the reactor may both stop it."""
    await service.stop()
    await service.stop()

    assert lines(name="realtime.service").count("stopped") == 1


class Leaving(Follower):
    """A connection that notes when and with which ending it is ended, and what had happened before."""

    def __init__(self, happened: list) -> None:
        super().__init__("boards")
        self.happened = happened

    def end(self, ending: Ending) -> None:
        self.happened.append((asyncio.get_running_loop().time(), ending))


@pytest.fixture
def leaving(service) -> list:
    """The endings of a hundred connections of the service."""
    happened: list = []
    for _ in range(100):
        service.hub.connect(Leaving(happened))
    return happened


async def test_connections_are_moved_gradually_and_told_to_reconnect_at_once(service, leaving, settings):
    """Each waits for its turn and is live meanwhile, instead of waiting without a connection."""
    settings.REALTIME = {**settings.REALTIME, "DRAIN_SECONDS": 0.3}

    await service.drain(lambda: leaving.append("the port is closed"))

    first, *ended = leaving
    times = [when for when, _ in ended]
    pauses = sum(later - earlier >= service_module.STEP_SECONDS / 2 for earlier, later in pairwise(times))
    assert first == "the port is closed"
    assert len(ended) == 100
    assert {(ending.code, ending.retry_after_seconds) for _, ending in ended} == {(4512, 0.0)}
    assert pauses >= 5


@pytest.mark.parametrize("drain_seconds, most", [(5.0, 11), (0.0, 1)], ids=["by number", "at most"])
async def test_how_long_moving_takes_depends_on_the_number_of_connections(
    service, leaving, settings, monkeypatch, drain_seconds, most
):
    """A server with a hundred has moved them in half a second, whatever the limit allows."""
    settings.REALTIME = {**settings.REALTIME, "DRAIN_SECONDS": drain_seconds}
    steps = []
    sleep_as_always = asyncio.sleep

    async def sleep(seconds: float) -> None:
        steps.append(seconds)
        await sleep_as_always(0)  # the engine's tasks call it too, and must not keep the loop for themselves

    monkeypatch.setattr("asyncio.sleep", sleep)

    await service.drain(lambda: None)

    assert len(leaving) == 100
    assert len([seconds for seconds in steps if seconds == service_module.STEP_SECONDS]) <= most


async def test_a_stopping_server_is_not_ready_before_it_closes_its_port(service, leaving, settings):
    """A balancer that asks has noticed when the first connection is moved; until then all is as before."""
    settings.REALTIME = {**settings.REALTIME, "UNREADY_SECONDS": 0.2}
    closed = asyncio.Event()
    draining = asyncio.create_task(service.drain(closed.set))
    await until(lambda: service.health.is_draining)

    assert await service.health.problems() == ["draining: this process is stopping"]
    assert (leaving, closed.is_set(), service.is_closing) == ([], False, False)

    await draining
    assert closed.is_set()
    assert service.is_closing
    assert len(leaving) == 100


async def test_a_client_that_still_reaches_a_stopping_server_comes_back_soon(service, connect, settings):
    """By a connection that its proxy had kept open; the next attempt reaches another server."""
    await service.drain(lambda: None)

    peer = connect()
    await peer.connect(10)
    (*_, bye), code = await peer.receive_rest()

    assert (bye["code"], code) == (4512, 4512)
    assert bye["retry_after_seconds"] <= 0.5


def test_the_endings_of_a_stopping_server_differ():
    """So that its clients do not reconnect all at once."""
    endings = [service_module.draining() for _ in range(50)]

    assert all(isinstance(ending, Ending) for ending in endings)
    assert len({ending.retry_after_seconds for ending in endings}) > 5


async def test_a_pool_of_the_size_that_the_check_asks_for_has_a_connection_for_each_thread(
    layer, settings, monkeypatch
):
    """A thread that waits for one would hold up everything that waits for the thread, for thirty seconds."""
    sizes: list[int] = []
    made = DatabaseThreads.__init__

    def noted(self: DatabaseThreads, name: str, threads: int) -> None:
        sizes.append(threads)
        made(self, name, threads)

    monkeypatch.setattr(DatabaseThreads, "__init__", noted)
    settings.REALTIME = {"READER_THREADS": 5, "TOPIC_THREADS": 3, "ACTION_THREADS": 1, "PAGE_THREADS": 9}
    Service()

    (error,) = database_checks._of_pool({"max_size": sum(sizes) - 1})
    assert f"at least {sum(sizes)}" in error.msg
    assert list(database_checks._of_pool({"max_size": sum(sizes)})) == []
