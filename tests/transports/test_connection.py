"""A connection: its heartbeats, its bad messages, its log lines, and its end."""

import asyncio
import json
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from realtime.access import tickets
from realtime.access.budgets import Budgets
from realtime.consumers import RealtimeConsumer
from realtime.service import draining
from tests.conftest import until


async def test_a_ping_is_answered_by_a_heartbeat_with_positions(connect, quay, topic, in_database):
    """After the changes up to these positions."""
    peer = connect()
    await peer.open()
    await peer.send("ping")
    empty = await peer.receive()
    await peer.follow(topic)
    await in_database(quay.entries.create, label="new")
    changes = await peer.receive()

    await peer.send("ping")

    assert empty == {"type": "heartbeat", "positions": {}}
    heartbeat = await peer.receive()
    assert (heartbeat["type"], heartbeat["positions"]) == ("heartbeat", {topic: changes["position"]})
    assert heartbeat["digests"].keys() == {topic}


async def test_heartbeats_are_sent_at_intervals(connect, settings):
    """Also if no topic changes."""
    settings.REALTIME = {**settings.REALTIME, "HEARTBEAT_SECONDS": 0.15}
    peer = connect()
    await peer.open()

    for _ in range(3):
        await peer.receive_next("heartbeat")


# ---------------------------------------------------------------- bad messages


BAD = {
    "nothing": "",
    "no JSON": "hello",
    "a number": "5",
    "a list": "[]",
    "null": "null",
    "no type": "{}",
    "an unknown type": '{"type":"explode"}',
    "a server's type": '{"type":"welcome"}',
    "a type of another type": '{"type":5}',
    "no topic": '{"type":"subscribe"}',
    "a topic of another type": '{"type":"subscribe","topic":5}',
    "an unknown format": '{"type":"subscribe","topic":"boards","format":"xml"}',
    "a position of another type": '{"type":"subscribe","topic":"boards","position":5}',
    "no id": '{"type":"call","action":"echo"}',
    "an id of another type": '{"type":"call","id":"1","action":"echo"}',
    "arguments of another type": '{"type":"call","id":1,"action":"echo","args":[]}',
    "too deep": '{"type":"call","id":1,"action":"echo","args":{"a":' + "[" * 5000 + "]" * 5000 + "}}",
    "half a surrogate": '{"type":"unsubscribe","topic":"\\ud800"}',
    "two messages": '{"type":"ping"}{"type":"ping"}',
    "a raw control character": '{"type":"unsubscribe","topic":"\n"}',
    "lines of a log": '{"type":"x\\n2026-01-01 ERROR realtime: forged"}',
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
async def test_a_bad_message_is_answered_and_logged_in_one_line(connect, lines, text):
    """Without a traceback or a line break of the client's; the connection continues."""
    peer = connect()
    await peer.open()

    await peer.send_input({"type": "websocket.receive", "text": text})
    error = await peer.receive()

    assert (error["type"], error["code"]) == ("error", 4400)
    (line,) = lines(logging.WARNING)
    assert "\n" not in line
    assert len(line) < 500
    await peer.send("ping")
    assert (await peer.receive())["type"] == "heartbeat"


async def test_a_binary_message_is_a_bad_one(connect, lines):
    """JSON is sent as text, MessagePack as binary messages of another subprotocol."""
    peer = connect()
    await peer.open()

    await peer.send_to(bytes_data=b'{"type":"ping"}')

    assert (await peer.receive())["code"] == 4400
    assert len(lines(logging.WARNING)) == 1


async def test_ten_bad_messages_end_the_connection(connect, lines):
    """Each is answered; then a bye is sent, and the connection is closed with its code."""
    peer = connect()
    await peer.open()

    for _ in range(15):
        await peer.send_to(text_data="nonsense")
    messages, code = await peer.receive_rest()

    assert [message["type"] for message in messages] == ["error"] * 10 + ["bye"]
    assert (messages[-1]["code"], code) == (4400, 4400)
    assert len(lines(logging.WARNING)) == 10


@pytest.mark.parametrize("excess, ends", [(0, False), (1, True), (1_000_000, True)])
async def test_a_message_may_be_16_kib_long(connect, excess, ends):
    """In bytes; one more and the connection ends."""
    empty = json.dumps({"type": "unsubscribe", "topic": ""})
    text = json.dumps({"type": "unsubscribe", "topic": "x" * (16 * 1024 - len(empty) + excess)})
    peer = connect()
    await peer.open()

    await peer.send_to(text_data=text)
    await peer.send("ping")

    if ends:
        messages, code = await peer.receive_rest()
        assert code == 4400
        assert messages[-1]["type"] == "bye"
    else:
        assert (await peer.receive())["type"] == "heartbeat"


async def test_a_client_of_bad_messages_disturbs_no_other(connect, quay, topic, in_database):
    """Its neighbour receives each change, once."""
    good, bad = connect(), connect()
    await good.open()
    await bad.open()
    await good.follow(topic)
    await bad.follow(topic)

    for _ in range(12):
        await bad.send_to(text_data="nonsense")
    _, code = await bad.receive_rest()
    await in_database(quay.entries.create, label="new")

    assert code == 4400
    assert (await good.receive())["changes"][0]["row"]["label"] == "new"
    assert await good.receive_nothing(0.1)


@pytest.mark.parametrize(
    "limits, messages",
    [
        ({"MAX_MESSAGES_PER_SECOND": 0.5}, [{"type": "ping"}] * 6),
        ({"MAX_BYTES_PER_SECOND": 100}, [{"type": "subscribe", "topic": "x" * 600}] * 2),
    ],
    ids=["messages", "bytes"],
)
async def test_a_client_that_sends_too_much_is_closed_and_told_when_to_come_back(
    connect, settings, limits, messages, monkeypatch
):
    """The message over the limit is not carried out."""
    monkeypatch.setattr("realtime.transports.connection.time", SimpleNamespace(monotonic=lambda: 0.0))
    settings.REALTIME |= limits
    peer = connect()
    await peer.open()

    for message in messages:
        await peer.send_to(text_data=json.dumps(message))
    heard, code = await peer.receive_rest()

    assert code == 4529
    assert heard[-1]["type"] == "bye"
    assert heard[-1]["retry_after_seconds"] == 10
    assert len(heard) == len(messages), "all but the last were answered; the last is why it was closed"


# ---------------------------------------------------------------- the end


async def test_every_event_is_one_line(connect, topic, lines):
    """Open, each message, close with its code; each line begins with the connection's name."""
    peer = connect()
    await peer.open()
    await peer.follow(topic)
    await peer.send("unsubscribe", topic=topic)
    await peer.send("call", id=1, action="echo", args={"text": "private words"})
    await peer.receive()
    await peer.disconnect(4321)

    name, *words = [line.partition(" ")[::2] for line in lines(logging.INFO, "realtime.connection")]
    assert name[1].startswith("open from ")
    assert [line for _, line in words][:3] == [
        f"message subscribe '{topic}' from None",
        f"message unsubscribe '{topic}'",
        "message call 'echo'",
    ]
    assert words[3][1].startswith("close 4321 after ")
    assert len(words) == 4
    assert {connection for connection, _ in [name, *words]} == {name[0]}
    assert not any("private words" in line for line in lines())


async def test_a_closed_connection_leaves_nothing(connect, service, topic):
    """No connection, no subscriber, no writer task."""
    peer = connect()
    await peer.open()
    await peer.follow(topic)
    assert len(service.hub.connections) == 1

    await peer.disconnect()

    assert service.hub.connections == []
    assert service.hub._shared[topic].subscribers == set()
    await until(lambda: not [one for one in asyncio.all_tasks() if "writer" in one.get_name()])


async def test_a_stopping_server_tells_connections_when_to_come_back(connect, service, topic):
    """A random delay for each connection, then the close; stopping twice has no further effect."""
    peers = [connect() for _ in range(3)]
    for peer in peers:
        await peer.open()
    await peers[0].follow(topic)

    await service.stop()
    await service.stop()

    for peer in peers:
        messages, code = await peer.receive_rest()
        (bye,) = [message for message in messages if message["type"] != "heartbeat"]
        assert (bye["type"], bye["code"], code) == ("bye", 4512, 4512)
        assert 0 <= bye["retry_after_seconds"] <= 5


async def test_a_connection_made_while_the_server_stops_is_closed(connect, service, lines):
    """It is refused, or asked to reconnect; it is never left open at a server that has stopped."""
    await service.stop()
    peer = connect()

    is_accepted, _ = await peer.connect(10)
    if is_accepted:
        _, code = await peer.receive_rest()
        assert code == 4512

    assert not any("Traceback" in line for line in lines())


class SlowSocket:
    """A server's side of a socket with a slow client: each ``send`` waits for ``may_go_on``."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: list[dict[str, Any]] = []
        self.is_waiting, self.may_go_on = asyncio.Event(), asyncio.Event()
        self.may_go_on.set()

    async def send(self, event: dict[str, Any]) -> None:
        self.is_waiting.set()
        await self.may_go_on.wait()
        self.sent.append(event)


async def test_a_connection_whose_send_waits_is_sent_the_bye_too(service, topic):
    """A server that stops during a slow write still sends the reason before it closes."""
    scope = {
        "type": "websocket", "path": "/realtime/ws/", "subprotocols": [],
        "headers": [(b"host", b"localhost"), (b"origin", b"http://localhost")],
    }  # fmt: skip
    socket = SlowSocket()
    running = asyncio.create_task(RealtimeConsumer.as_asgi()(scope, socket.incoming.get, socket.send))
    await socket.incoming.put({"type": "websocket.connect"})
    await until(lambda: len(socket.sent) == 2)  # accepted and welcomed
    socket.may_go_on.clear()
    socket.is_waiting.clear()
    await socket.incoming.put({"type": "websocket.receive", "text": '{"type":"ping"}'})
    await asyncio.wait_for(socket.is_waiting.wait(), 60)

    for connection in service.hub.connections:
        connection.end(draining())
    socket.may_go_on.set()
    await until(lambda: socket.sent[-1]["type"] == "websocket.close")

    texts = [json.loads(event["text"])["type"] for event in socket.sent if event["type"] == "websocket.send"]
    assert texts == ["welcome", "heartbeat", "bye"]
    await socket.incoming.put({"type": "websocket.disconnect", "code": 4512})
    await running


# ---------------------------------------------------------------- processing time


async def test_a_client_whose_address_has_used_its_share_waits(connect, service, topic, monkeypatch):
    """Its messages are carried out later, its acknowledgements at once, and other addresses do not wait."""
    now = [0.0]
    service.processing = Budgets(100, 1, lambda: now[0])
    peer = connect()
    await peer.open()
    await peer.follow(topic)
    service.processing.spend("127.0.0.1", 2)

    await peer.send("ack", received=99)
    assert (await peer.receive())["code"] == 4400  # not that many were sent
    await peer.send("ping")
    assert await peer.receive_nothing()

    now[0] = 100.0
    assert (await peer.receive())["type"] == "heartbeat"


async def test_a_ticket_is_not_looked_up_for_an_address_that_has_used_its_share(
    connect, service, monkeypatch
):
    """A query for each made-up ticket would go on however much the address owes; the client is told when to return."""
    monkeypatch.setattr(tickets, "redeem", lambda ticket: pytest.fail("the ticket is looked up"))
    service.processing = Budgets(1, 1, lambda: 0.0)
    service.processing.spend("127.0.0.1", 1.5)

    peer = connect(query="ticket=made-up")
    await peer.open()
    (bye,), code = await peer.receive_rest()

    assert code == 4529
    assert bye["retry_after_seconds"] > 0
    assert service.places._in_use == {}


async def test_messages_are_paid_from_the_share_of_their_address(connect, service, topic):
    """Messages of every type, bad ones too."""
    spent: list[tuple[str | None, float]] = []
    peer = connect()
    await peer.open()
    service.processing.spend = lambda owner, amount: spent.append((owner, amount))

    for text in [
        '{"type":"ping"}',
        f'{{"type":"subscribe","topic":"{topic}"}}',
        '{"type":"ack","received":1}',
        "x",
    ]:
        before = len(spent)
        await peer.send_to(text_data=text)
        await until(lambda before=before: len(spent) > before)

    assert {owner for owner, _ in spent} == {"127.0.0.1"}
    assert all(amount > 0 for _, amount in spent)
