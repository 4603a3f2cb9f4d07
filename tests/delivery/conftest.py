"""Followers without sockets, and a hub that a test feeds by hand."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

import pytest

from realtime.access.visitors import ANONYMOUS
from realtime.delivery import topic_reads
from realtime.delivery.hub import Hub
from realtime.delivery.subscriber import ConnectionState
from realtime.delivery.topic_reads import TopicReads
from realtime.engine.messages import Format, Heartbeat, decode_server
from realtime.engine.session import Ending, Session
from realtime.models import OutboxRow
from realtime.publishing.layer import group, sealed, to_message
from realtime.publishing.positions import read_topic
from realtime.publishing.sequencer import Batch
from realtime.runtime.threads import DatabaseThreads, close_all
from tests.conftest import until
from tests.support.limits import default_limits
from tests.support.replica import Replica


class Follower:
    """A connection without a socket: a replica receives at once what its session would send."""

    state = ConnectionState("", "websocket", 0.0, 0)

    def __init__(self, topic: str, address: str | None = None, format: Format = "rows") -> None:
        self.visitor, self.address = ANONYMOUS, address
        self.writer: asyncio.Task[None] | None = None
        self.session = Session(default_limits())
        list(iter(self.session.next, None))
        self.replica, self.format = Replica(topic, format), format
        self.received: list[Any] = []
        self.ended: Ending | None = None
        self.beats = 0

    @property
    def topics(self) -> list[str]:
        return self.session.topics

    def notify(self, topic: str) -> None:
        self.session.notify(topic)
        self.flush()

    def post(self, message: Any) -> None:
        self.session.post(message)
        self.flush()

    def offer(self, message: Any) -> bool:
        is_taken = self.session.offer(message)
        self.flush()
        return is_taken

    def pulse(self) -> None:
        self.beats += 1
        self.session.pulse()
        self.flush()

    def revoke(self, topic: str) -> None:
        self.session.unsubscribe(topic)

    def end(self, ending: Ending) -> None:
        self.ended = ending

    def flush(self) -> None:
        for text in list(iter(self.session.next, None)):
            message = decode_server(text)
            self.received.append(message)
            assert not self.replica.receive(message), f"a gap: {message}"

    async def follow(self, hub: Hub) -> Self:
        topic = await hub.subscribe(self.replica.topic, self)
        self.session.subscribe(topic, self.replica.position, self.format)
        self.flush()
        return self


@pytest.fixture(autouse=True)
def no_second_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a loaded machine no read is begun again in the share of the slow feeds: tests count reads."""
    monkeypatch.setattr(topic_reads, "FIRST_SECONDS", 60.0)


SELDOM_SECONDS = 1000.0
"""The interval of a hub that does not read the log by itself within a test."""


class CountingHub(Hub):
    """A hub that counts how often it has read the log's tail."""

    looks = 0
    is_looking = False

    async def _look(self) -> None:
        self.is_looking = True
        try:
            await super()._look()
        finally:
            self.is_looking = False
        self.looks += 1


class Wire:
    """A hub without a publisher: a test sequences and sends by itself."""

    def __init__(
        self,
        hub: CountingHub,
        readers: DatabaseThreads,
        reads: TopicReads,
        layer: Any,
        in_database: Callable,
        log: Any,
    ) -> None:
        self.hub, self.reader_threads, self.reads, self.layer = hub, readers, reads, layer
        self._in_database, self._log = in_database, log

    async def write(self, function: Callable, *args: Any, **kwargs: Any) -> Batch:
        """Write and sequence without sending; return the batch."""
        if self.hub._follow_seconds >= SELDOM_SECONDS:
            # The look that the first subscription causes would find it, in a hub that is not to look by itself.
            await until(lambda: not self.hub.is_looking and not self.hub._must_look.is_set())
        await self._in_database(function, *args, **kwargs)
        batch = await self._in_database(self._log.sequence)
        assert batch is not None
        return batch

    async def send(self, batch: Batch) -> None:
        for entry in batch.entries:
            await self.layer.group_send(group(entry.topic), to_message(batch.epoch, entry))

    async def forge(self, topic: str, /, **message: Any) -> None:
        """Send a message that no publisher would send, with the seal of this deployment."""
        await self.layer.group_send(group(topic), sealed(message))

    async def settle(self) -> None:
        """Wait until the hub has read the log as it is now."""
        for _ in range(2):  # the first read may have begun before
            before = self.hub.looks
            self.hub.look_soon()
            await until(lambda before=before: self.hub.looks > before and not self.hub._refreshes)

    async def is_current(self, follower: Follower) -> bool:
        reading = await self._in_database(read_topic, follower.replica.topic)
        return {row.key: bytes(row.row) for row in reading.rows} == {
            key: contents for key, (_, contents) in follower.replica.rows.items()
        }


@pytest.fixture
async def make_wire(log, layer, in_database) -> AsyncIterator[Callable]:
    """Start a hub that reads the log at an interval: ``await make_wire(follow_seconds)``."""
    wires: list[Wire] = []
    pools: list[DatabaseThreads] = []

    async def make(follow_seconds: float) -> Wire:
        readers, topics = DatabaseThreads("test-reader", 4), DatabaseThreads("test-topic", 4)
        reads = TopicReads(topics, 4)
        hub = CountingHub(layer, readers, reads, follow_seconds)
        await hub.start()
        pools.extend([readers, topics])
        wires.append(Wire(hub, readers, reads, layer, in_database, log))
        return wires[-1]

    yield make
    for wire in wires:
        await wire.hub.stop()
    await close_all(*pools)


@pytest.fixture
async def quick(make_wire) -> Wire:
    """A hub that reads the log every hundredth of a second."""
    return await make_wire(0.01)


@pytest.fixture
async def slow(make_wire) -> Wire:
    """A hub that does not read the log by itself within a test: changes arrive by the layer or on request."""
    return await make_wire(SELDOM_SECONDS)


@pytest.fixture
def topic(quay) -> str:
    return f"entries.{quay.pk}"


class PausedRead:
    """Reads a topic and then waits in its thread until the test lets it continue."""

    def __init__(self) -> None:
        self.has_read, self.go_on = threading.Event(), threading.Event()

    def __call__(self, topic: str, limit: float):
        reading = read_topic(topic)
        self.has_read.set()
        assert self.go_on.wait(20)
        return reading


@pytest.fixture
def paused_read(monkeypatch):
    """Replace the reading of topics by one that the test releases."""
    paused = PausedRead()
    monkeypatch.setattr(topic_reads, "read_topic", paused)
    yield paused
    paused.go_on.set()


@pytest.fixture
def readings(monkeypatch) -> list[str]:
    """The topics that were read, in order."""
    read: list[str] = []

    def counted(topic: str, limit: float):
        read.append(topic)
        return read_topic(topic, limit)

    monkeypatch.setattr(topic_reads, "read_topic", counted)
    return read


def reset() -> OutboxRow:
    """Write a reset of a whole feed to the outbox."""
    return OutboxRow.objects.create(source="boards_entry", image=None)


def last_heartbeat(follower: Follower) -> Heartbeat:
    """Return the heartbeat that would be sent now."""
    follower.pulse()
    heartbeat = follower.received[-1]
    assert isinstance(heartbeat, Heartbeat)
    return heartbeat


def has_row(follower: Follower, label: str) -> Callable[[], bool]:
    """Return the condition that the follower has a row with that label."""
    return lambda: any(f'"label":"{label}"'.encode() in row for _, row in follower.replica.rows.values())


class Broken:
    """Makes functions fail while ``error`` is set."""

    def __init__(self, error: Exception) -> None:
        self.error: Exception | None = error

    def wrap(self, method: Callable) -> Callable:
        def wrapped(*args: Any) -> Any:
            if self.error is not None:
                raise self.error
            return method(*args)

        return wrapped


class FailsOnce:
    """A function that fails the first time it is called."""

    def __init__(self, function: Callable, error: Exception) -> None:
        self.function, self.error, self.has_failed = function, error, False

    def __call__(self, *args: Any) -> Any:
        if not self.has_failed:
            self.has_failed = True
            raise self.error
        return self.function(*args)
