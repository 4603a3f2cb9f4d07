"""Answers wait for their readers: on scripted servers; tests/processes has real ones, with clients that do not read."""

import asyncio
from functools import partial
from typing import Any

import pytest
import uvicorn  # noqa: F401  (what is not loaded does not fit)
from uvicorn.protocols.http.flow_control import FlowControl

from realtime.servers import answers, reactor
from realtime.servers.answers import PIECE_BYTES, Answer
from realtime.servers.deadlines import Deadlines
from tests.conftest import until

START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}


def body(content: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": content, "more_body": more}


class Client:
    """A client behind a socket that holds nothing: ``received`` is what the server has written, read or not."""

    def __init__(self) -> None:
        self.received = b""
        self.events: list[dict[str, Any]] = []
        self.unread = self.most_unread = 0
        self.is_reading = self.is_aborted = False

    def write(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        data = event.get("body", b"")
        self.received += data
        self.unread += len(data)
        self.most_unread = max(self.most_unread, self.unread)
        if self.unread and not self.is_reading:
            self.keep()
        else:
            self.unread = 0

    def read(self) -> None:
        """Read what the server keeps."""
        self.unread = 0
        self.sent()

    def read_all(self) -> None:
        """Read from now on."""
        self.is_reading = True
        self.read()

    def abort(self) -> None:
        self.is_aborted = True
        self.sent()

    def keep(self) -> None: ...
    def sent(self) -> None: ...
    @property
    def is_as_before(self) -> bool: ...
    def server_send(self) -> Any: ...


class OnUvicorn(Client):
    """uvicorn's request and its transport, as far as they are used."""

    def __init__(self) -> None:
        super().__init__()
        self.flow = FlowControl(self)  # type: ignore[arg-type]
        self.transport, self.limit = self, 64 * 1024

    def set_write_buffer_limits(self, high: int = 64 * 1024) -> None:
        self.limit = high

    def keep(self) -> None:
        if self.unread > self.limit:
            self.flow.pause_writing()

    def sent(self) -> None:
        self.flow.resume_writing()

    @property
    def is_as_before(self) -> bool:
        return self.limit == 64 * 1024

    async def send(self, event: dict[str, Any]) -> None:
        self.write(event)

    def server_send(self) -> Any:
        return self.send


class OnDaphne(Client):
    """daphne's request and its transport, as far as they are used."""

    bufferSize = 64 * 1024

    def __init__(self) -> None:
        super().__init__()
        self.transport = self.channel = self
        self.producer: Any = None

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert self.producer is None
        assert streaming
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def keep(self) -> None:
        if self.unread > self.bufferSize:
            self.producer.pauseProducing()

    def sent(self) -> None:
        if self.producer is not None:
            self.producer.resumeProducing()

    abortConnection = Client.abort

    @property
    def is_as_before(self) -> bool:
        return self.producer is None and self.bufferSize == 64 * 1024

    def server_send(self) -> Any:
        async def handle_reply(request: OnDaphne, event: dict[str, Any]) -> None:
            request.write(event)

        return partial(handle_reply, self)


@pytest.fixture(params=[OnDaphne, OnUvicorn])
async def client(request, monkeypatch) -> Any:
    monkeypatch.setattr(reactor, "is_running", lambda: request.param is OnDaphne)
    monkeypatch.setattr(answers, "waiting", Deadlines(lambda: answers.MAX_WAITING))
    monkeypatch.setattr(answers, "long_answers", answers.LongAnswers())
    return request.param()


async def answering(
    client: Client, *events: dict[str, Any], method: str = "GET", address: str | None = None
) -> asyncio.Task[None]:
    """Return the task of an application that answers with these events, when it can do no more for now."""
    answer = Answer(method, client.server_send(), lambda: address)

    async def run() -> None:
        for event in events:
            await answer.send(event)

    task = asyncio.create_task(run())
    for _ in range(10):
        await asyncio.sleep(0)
    return task


@pytest.mark.parametrize("size", [1, PIECE_BYTES, 10 * PIECE_BYTES + 1])
async def test_an_answer_is_over_when_it_has_been_read(client, size):
    """However short it is; the end is sent after the rest, so the connection is not taken for idle, nor the next
    request begun.
    """
    task = await answering(client, START, body(b"x" * size))
    assert not task.done()

    while not task.done():
        assert all(event.get("more_body", True) for event in client.events)
        client.read()
        for _ in range(10):
            await asyncio.sleep(0)

    assert client.received == b"x" * size
    assert client.events[-1] == {"type": "http.response.body", "body": b""}
    assert client.most_unread <= PIECE_BYTES
    assert client.is_as_before


async def test_parts_wait_for_each_other(client):
    """The parts of an answer are not collected for a client that does not read."""
    task = await answering(client, START, *[body(b"x" * 1000, more=True) for _ in range(100)], body(b""))
    assert client.received == b"x" * 1000

    client.read_all()
    await task

    assert client.received == b"x" * 100_000


async def test_a_client_that_reads_costs_no_wait(client, monkeypatch):
    """Nothing is registered for it."""
    monkeypatch.setattr(answers.waiting, "start", lambda *wait: pytest.fail("there is nothing to wait for"))
    client.is_reading = True

    task = await answering(client, START, body(b"x" * PIECE_BYTES * 3))

    assert task.done()
    assert client.received == b"x" * PIECE_BYTES * 3


async def test_a_client_that_does_not_read_is_aborted(client, settings, monkeypatch):
    """When the time for one piece is over; what it has read before counts for nothing."""
    settings.REALTIME = {"STALL_SECONDS": 0.01}
    task = await answering(client, START, body(b"x" * PIECE_BYTES * 3))
    client.read()

    await until(task.done)

    assert client.is_aborted
    assert client.is_as_before


async def test_a_client_that_leaves_ends_the_wait(client):
    """The server reports it as it reports that all has been read."""
    task = await answering(client, START, body(b"x"))
    client.channel = None

    client.sent()

    await task


async def test_the_answers_that_have_waited_longest_make_room(client, monkeypatch):
    """So their number is bounded for the whole process, whatever the number of addresses."""
    monkeypatch.setattr(answers, "MAX_WAITING", 2)
    monkeypatch.setattr("realtime.servers.deadlines.GRACE_SECONDS", 0)
    clients = [client, type(client)(), type(client)()]

    tasks = [await answering(each, START, body(b"x")) for each in clients]

    assert [each.is_aborted for each in clients] == [True, False, False]
    for each, task in zip(clients, tasks, strict=True):
        each.read()
        await task


LONG = [
    {**START, "headers": [(b"Content-Length", b"200000")]},
    body(b"x" * 100_000, more=True),
    body(b"x" * 100_000),
]


@pytest.mark.parametrize(
    ("bound", "sources", "ended"),
    [
        ("MAX_LONG_BYTES_PER_ADDRESS", ["10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.1"], [0]),
        ("MAX_LONG_BYTES_PER_ADDRESS", [None, None, None, None], []),
        ("MAX_LONG_BYTES", ["10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.3"], [0, 1]),
        ("MAX_LONG_BYTES", [None, None, None], [0]),
    ],
)
async def test_long_answers_to_slow_clients_make_room(client, monkeypatch, bound, sources, ended):
    """Their application keeps all of each: those of the address itself, and then of the one that has the most."""
    monkeypatch.setattr(answers, bound, 400_000)
    clients = [client, *(type(client)() for _ in sources[1:])]

    tasks = [
        await answering(each, *LONG, address=source) for each, source in zip(clients, sources, strict=True)
    ]

    assert [number for number, each in enumerate(clients) if each.is_aborted] == ended
    for each, task in zip(clients, tasks, strict=True):
        each.read_all()
        await task
    assert answers.long_answers._of == {}


async def test_a_single_answer_may_be_longer_than_all_may_be_together(client, monkeypatch):
    """A page that was sent before is sent still."""
    monkeypatch.setattr(answers, "MAX_LONG_BYTES", 100_000)
    monkeypatch.setattr(answers, "MAX_LONG_BYTES_PER_ADDRESS", 100_000)

    task = await answering(client, *LONG, address="10.0.0.1")
    client.read_all()
    await task

    assert len(client.received) == 200_000


async def test_an_answer_to_head_has_no_body(client):
    """daphne would send all parts of it but the first."""
    client.is_reading = True

    await (await answering(client, START, body(b"x", more=True), body(b"y"), method="HEAD"))

    assert client.received == b""
    assert [event["type"] for event in client.events] == ["http.response.start", "http.response.body"]


async def test_an_answer_that_breaks_off_leaves_the_connection_as_it_was(client):
    """An application failed: the server sends an answer of its own."""
    answer = Answer("GET", client.server_send())
    client.is_reading = True
    await answer.send(START)

    answer.close()
    answer.close()

    assert client.is_as_before


async def test_the_answer_on_an_unknown_server_is_passed_on():
    """Event by event."""
    sent = []

    async def send(event: dict[str, Any]) -> None:
        sent.append(event)

    answer = Answer("GET", send)
    for event in (START, body(b"x" * PIECE_BYTES * 2)):
        await answer.send(event)

    assert sent == [START, body(b"x" * PIECE_BYTES * 2)]
