"""Outbound: what reaches a client, in which order, and when its connection is closed."""

import asyncio
from typing import Any

import pytest
from msgspec import Raw

from realtime.engine.codes import Code
from realtime.engine.messages import Encoded, Notice, Row
from realtime.engine.position import Position
from realtime.engine.session import Ending, Session
from realtime.engine.topic import Topic
from realtime.runtime.client_log import ClientLog
from realtime.transports import outbound as outbound_module
from realtime.transports.outbound import Outbound
from tests.support.limits import default_limits


class Server:
    """A server's side of one connection: it records what it is given, and waits while the client does not read."""

    def __init__(self) -> None:
        self.received: list[str] = []
        self.can_write = False
        self.is_reading = asyncio.Event()
        self.is_reading.set()

    async def send(self, event: dict[str, Any]) -> None:
        async with asyncio.timeout(60):  # as a server may: it works in a task alone
            await self.is_reading.wait()
        self.received.append(f"sent {event['text']}")

    def write(self, message: Encoded) -> bool:
        if self.can_write:
            self.received.append(f"written {_name(message)}")
        return self.can_write

    async def close(self, ending: Ending) -> None:
        self.received.append(f"close {int(ending.code)}")


def _name(message: Encoded) -> str:
    """Return the text of a notice, the type of other messages."""
    parts = str(message).split('"')
    return parts[7] if parts[3] == "notice" else parts[3]


@pytest.fixture
async def server() -> Server:
    return Server()


@pytest.fixture
def session() -> Session:
    return Session(default_limits())


@pytest.fixture
def outbound(server, session) -> Outbound:
    def frame(session: Session, message: Encoded) -> dict[str, Any]:
        return {"text": _name(message)}

    return Outbound(session, ClientLog("?", "c1"), server.send, frame, server.close, server.write)


def late_topic() -> Topic:
    """Return a topic at offset 5 that lacks something."""
    topic = Topic("numbers")
    topic.load(Position("e", 5), [], unchanged_since=5)
    topic.set_current(False)
    return topic


async def writes_are_over(outbound: Outbound) -> None:
    if outbound.writer is not None:
        await asyncio.wait([outbound.writer])
    await asyncio.sleep(0)


async def test_nothing_is_sent_before_open(outbound, server, session):
    """A transport opens it when the server has accepted the connection."""
    outbound.push()
    assert server.received == []

    outbound.open()
    await writes_are_over(outbound)

    assert server.received == ["sent welcome"]


async def test_a_message_is_written_at_once_if_the_server_can(outbound, server, session):
    """No task is made for it."""
    server.can_write = True

    outbound.open()
    session.post(Notice("first"))
    outbound.push()

    assert server.received == ["written welcome", "written first"]
    assert outbound.writer is None


async def test_what_a_server_fails_to_write_is_sent(outbound, server, session, monkeypatch):
    """A part of a server that is not public may fail in any way; ``send`` is what every server has."""

    def fail(message: Encoded) -> bool:
        raise AttributeError("no such part")

    monkeypatch.setattr(outbound, "_write", fail)

    outbound.open()
    session.post(Notice(text="one"))
    outbound.push()
    await writes_are_over(outbound)

    assert server.received == ["sent welcome", "sent one"]


async def test_a_topic_that_is_late_for_long_causes_one_heartbeat_a_second(
    outbound, server, session, monkeypatch
):
    """Each has the positions of all topics: one after each change would be most of what a busy server sends."""
    monkeypatch.setattr(outbound_module, "DOUBT_SECONDS", 3600)
    topic = late_topic()
    server.can_write = True
    session.subscribe(topic, Position("e", 5), "rows")
    outbound.open()
    assert server.received == ["written welcome", "written changes", "written heartbeat"]

    for offset in (5, 6):
        topic.apply(offset, offset, offset + 1, [Row("b", "b", Raw(b"%d" % offset)).upsert()])
        session.notify("numbers")
        outbound.push()

    assert server.received[3:] == ["written changes", "written changes"]
    await outbound.finish(None)


async def test_the_heartbeat_about_a_topic_that_is_late_follows(outbound, server, session, monkeypatch):
    """Without it the client would show the rows that it was sent last as current."""
    monkeypatch.setattr(outbound_module, "DOUBT_SECONDS", 0.01)
    topic = late_topic()
    server.can_write = True
    session.subscribe(topic, Position("e", 5), "rows")
    outbound.open()
    topic.apply(5, 5, 6, [Row("b", "b", Raw(b"1")).upsert()])
    session.notify("numbers")
    outbound.push()

    async with asyncio.timeout(60):
        while server.received[3:] != ["written changes", "written heartbeat"]:
            await asyncio.sleep(0.001)
    await outbound.finish(None)


async def test_messages_keep_their_order_while_the_client_does_not_read(outbound, server, session):
    """One task sends them all when it reads again, also those posted meanwhile; the close is last."""
    outbound.open()
    await writes_are_over(outbound)
    server.is_reading.clear()
    for text in ("first", "second"):
        session.post(Notice(text))
        outbound.push()
    server.can_write = True
    session.post(Notice("third"))
    session.end(Ending(Code.DRAINING, "this server stops"))
    outbound.push()
    await asyncio.sleep(0)
    assert server.received == ["sent welcome"]

    server.is_reading.set()
    await writes_are_over(outbound)

    assert server.received[1:] == ["sent first", "sent second", "sent third", "sent bye", "close 4512"]
    assert outbound.writer is None


async def test_the_connection_is_closed_after_a_bye_and_nothing_follows(outbound, server, session):
    """With the code of the ending."""
    outbound.open()
    await writes_are_over(outbound)
    session.end(Ending(Code.FORBIDDEN, "signed out"))

    outbound.push()
    await writes_are_over(outbound)
    outbound.push()
    await writes_are_over(outbound)

    assert server.received == ["sent welcome", "sent bye", "close 4403"]


async def test_a_send_that_fails_ends_the_sending(outbound, server, session, monkeypatch, lines):
    """The client has left: no traceback, and nothing more is sent."""

    async def fail(event: dict[str, Any]) -> None:
        server.received.append("failed")
        raise ConnectionResetError("gone")

    monkeypatch.setattr(outbound, "_send", fail)
    outbound.open()
    await writes_are_over(outbound)

    session.post(Notice("more"))
    outbound.push()
    await writes_are_over(outbound)

    assert server.received == ["failed"]
    assert lines() == ["c1 not sent: ConnectionResetError: gone"]


@pytest.mark.parametrize(
    "ending, last", [(Ending(Code.DRAINING, "stops"), "close 4512"), (None, "sent welcome")]
)
async def test_finishing_sends_the_ending_if_there_is_one(outbound, server, session, ending, last):
    """After that nothing is sent."""
    outbound.open()
    await writes_are_over(outbound)

    await outbound.finish(ending)
    session.post(Notice("late"))
    outbound.push()
    await writes_are_over(outbound)

    assert server.received[-1] == last


async def test_finishing_cancels_a_send_that_waits(outbound, server, session):
    """A client that does not read must not keep its connection."""
    server.is_reading.clear()
    outbound.open()
    await asyncio.sleep(0)
    writer = outbound.writer

    await outbound.finish(None)
    await asyncio.wait([writer])

    assert writer.cancelled()
    assert server.received == []


@pytest.mark.parametrize("can_write", [True, False], ids=["written", "sent"])
async def test_other_tasks_run_between_the_parts_of_a_snapshot(outbound, server, session, can_write):
    """Each takes some time to encode, and there may be dozens; a server may accept them all."""
    topic = Topic("letters", max_part_bytes=200)
    topic.load(Position("e", 1), [Row(f"{key:03}", f"{key:03}", Raw(b'"x"')) for key in range(100)], 1)
    server.can_write = can_write
    outbound.open()
    session.subscribe(topic, None, "rows")
    turns: list[int] = []

    outbound.push()
    while outbound.writer is not None:
        turns.append(sum("snapshot" in each for each in server.received))
        await asyncio.sleep(0)

    parts = sum("snapshot" in each for each in server.received)
    assert parts > 20
    assert sorted(set(turns)) == list(range(1, parts))
