"""Broadcasts: which users may send them, which connections receive them, and how many there may be."""

import asyncio
import json
import logging

import msgspec
import pytest

from realtime.delivery import broadcasts
from realtime.engine.messages import Broadcast, Presence
from realtime.engine.position import Position
from realtime.publishing.layer import BROADCAST_TYPE, group, sealed
from realtime.service import get_service
from tests.conftest import until
from tests.delivery.conftest import Follower
from tests.support.transports import Request


@pytest.fixture
def pair(sociable, connect, topic):
    """A function that returns two clients that follow a topic."""

    async def make(**handshake):
        peers = connect(**handshake), connect()
        for peer in peers:
            await peer.open()
            await peer.follow(topic)
        await until(lambda: not get_service().hub._shared[topic].is_in_question)
        return peers

    return make


async def test_the_other_subscribers_receive_it(pair, topic):
    """With its payload as it was sent, and a name of the connection; the sender does not."""
    sender, receiver = await pair()
    payload = {"row": "7", "at": [1, 2.5, None, True], "__proto__": {"isAdmin": True}, "é": "\u2028"}

    await sender.send("broadcast", topic=topic, event="typing", payload=payload)
    received = await receiver.receive_next("broadcast")
    await receiver.send("broadcast", topic=topic, event="seen")
    back = await sender.receive_next("broadcast")

    assert received == {
        "type": "broadcast", "topic": topic, "event": "typing", "payload": payload, "sender": received["sender"],
    }  # fmt: skip
    assert (back["event"], back["payload"]) == ("seen", None)
    assert back["sender"] != received["sender"]


async def test_sender_and_name_are_those_of_the_server(pair, staff, sign_in, in_database, topic):
    """Others that a client sends are ignored."""
    sender, receiver = await pair(session=await in_database(sign_in, staff))

    await sender.send(
        "broadcast", topic=topic, event="typing", payload=1, name="the director", sender="someone"
    )
    received = await receiver.receive_next("broadcast")

    assert received["name"] == "staff"
    assert received["sender"] not in ("someone", "")


async def test_names_are_sent_only_where_the_feed_gives_them(
    pair, staff, sign_in, in_database, monkeypatch, sociable, topic
):
    """A feed that only counts its viewers does not disclose their names in another way."""
    monkeypatch.setattr(sociable, "presence", "count")
    sender, receiver = await pair(session=await in_database(sign_in, staff))

    await sender.send("broadcast", topic=topic, event="typing", name="forged")

    assert "name" not in await receiver.receive_next("broadcast")


async def test_binary_data_is_base64_in_json_and_bytes_in_messagepack(sociable, connect, topic):
    """Each client has it as its encoding can."""
    sender, text, binary = connect(), connect(), connect(subprotocols=["realtime.v1.msgpack"])
    for peer in (sender, text):
        await peer.open()
        await peer.follow(topic)
    await binary.connect(60)
    await binary.send_to(bytes_data=msgspec.msgpack.encode({"type": "subscribe", "topic": topic}))

    async def next_broadcast():
        while True:
            message = msgspec.msgpack.decode(await binary.receive_from(60))
            if message["type"] == "broadcast":
                return message

    async def is_subscribed():
        while msgspec.msgpack.decode(await binary.receive_from(60))["type"] != "snapshot":
            pass

    async def text_receives():
        return (await text.receive_next("broadcast"))["data"]

    await is_subscribed()
    await sender.send("broadcast", topic=topic, event="ink", data="AAH/")
    of_text = await text_receives()
    await binary.send_to(
        bytes_data=msgspec.msgpack.encode(
            {"type": "broadcast", "topic": topic, "event": "ink", "data": b"\x00\xff"}
        )
    )

    assert (await next_broadcast())["data"] == b"\x00\x01\xff"
    assert [of_text, await text_receives()] == ["AAH/", "AP8="]


async def refusal(peer) -> tuple[int, bool]:
    """Return the code of the next error, and whether it is about a topic, whose rows would be refused then."""
    error = await peer.receive_next("error")
    return error["code"], "topic" in error


async def test_without_the_feeds_permission_no_user_may_broadcast(monkeypatch, pair, sociable, topic):
    """``can_broadcast`` is False by default, and may be a question of the user."""
    monkeypatch.delattr(sociable, "can_broadcast")
    sender, _ = await pair()

    await sender.send("broadcast", topic=topic, event="typing")
    default = await refusal(sender)
    monkeypatch.setattr(sociable, "can_broadcast", lambda self, user, key: user.is_staff, raising=False)
    await sender.send("broadcast", topic=topic, event="typing")

    assert (default, await refusal(sender)) == ((4403, False), (4403, False))


async def test_an_async_permission_counts(monkeypatch, pair, sociable, topic):
    """A feed may declare it either way; a coroutine is not a yes."""

    async def can_broadcast(self, user, key):
        return False

    monkeypatch.setattr(sociable, "can_broadcast", can_broadcast, raising=False)
    sender, _ = await pair()

    await sender.send("broadcast", topic=topic, event="typing")

    assert await refusal(sender) == (4403, False)


@pytest.mark.parametrize("foreign", ["boards", "entries.999", "unknown", "", "*", "__proto__", "entries.1\n"])
async def test_a_topic_that_the_connection_does_not_follow(pair, foreign):
    """A user who may not read a topic may not write to its readers either."""
    sender, _ = await pair()

    await sender.send("broadcast", topic=foreign, event="typing")

    assert await refusal(sender) == (4403, False)


BAD = {
    "no topic": '{"type":"broadcast","event":"x"}',
    "no event": '{"type":"broadcast","topic":"%s"}',
    "an event of another type": '{"type":"broadcast","topic":"%s","event":5}',
    "data that is not base64": '{"type":"broadcast","topic":"%s","event":"x","data":"?"}',
    "half a surrogate": '{"type":"broadcast","topic":"%s","event":"x","payload":"\\ud800"}',
    "half a surrogate as key": '{"type":"broadcast","topic":"%s","event":"x","payload":{"\\ud800":1}}',
    "not a number": '{"type":"broadcast","topic":"%s","event":"x","payload":NaN}',
    "an infinite number": '{"type":"broadcast","topic":"%s","event":"x","payload":[1e999]}',
    "a huge integer": '{"type":"broadcast","topic":"%s","event":"x","payload":' + "9" * 400 + "}",
    "too deep": '{"type":"broadcast","topic":"%s","event":"x","payload":' + "[" * 1000 + "]" * 1000 + "}",
    "too many values": '{"type":"broadcast","topic":"%s","event":"x","payload":[' + "1," * 1100 + "1]}",
}
REFUSED = {
    "an empty event": {"event": ""},
    "a long event": {"event": "x" * 65},
    "a long payload": {"event": "x", "payload": "x" * 4095},
    "long data": {"event": "x", "data": "AAAA" * 1366},
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
async def test_a_broadcast_of_invalid_form_is_a_bad_message(pair, topic, text, lines):
    """And nothing of it reaches others."""
    sender, receiver = await pair()

    await sender.send_to(text_data=text.replace("%s", topic))
    code, _ = await refusal(sender)
    await sender.send("broadcast", topic=topic, event="good")

    assert code == 4400
    assert (await receiver.receive_next("broadcast"))["event"] == "good"
    assert not any("Traceback" in line for line in lines())


@pytest.mark.parametrize("fields", REFUSED.values(), ids=REFUSED)
async def test_what_is_too_long_is_refused_and_the_connection_continues(pair, topic, fields):
    """However often a page tries."""
    sender, receiver = await pair()

    for _ in range(12):
        await sender.send("broadcast", topic=topic, **fields)
    refusals = {await refusal(sender) for _ in range(12)}
    await sender.send("broadcast", topic=topic, event="good", payload="x" * 4094)

    assert refusals == {(4400, False)}
    assert (await receiver.receive_next("broadcast"))["event"] == "good"


@pytest.mark.parametrize(
    "payload",
    [{1: 2}, {b"a": 1}, msgspec.msgpack.Ext(5, b"x"), [b"bytes"]],
    ids=["a number as key", "bytes as key", "an extension", "bytes within"],
)
async def test_messagepack_that_json_does_not_have(sociable, connect, topic, payload, lines):
    """It is refused or has a form in JSON; nothing fails."""
    sender, receiver = connect(subprotocols=["realtime.v1.msgpack"]), connect()
    await receiver.open()
    await receiver.follow(topic)
    await sender.connect(60)
    for fields in (
        {"type": "subscribe"},
        {"type": "broadcast", "event": "x", "payload": payload},
        {"type": "broadcast", "event": "last"},
    ):
        await sender.send_to(bytes_data=msgspec.msgpack.encode({"topic": topic, **fields}))

    while (await receiver.receive_next("broadcast"))["event"] != "last":
        pass

    assert not any("Traceback" in line for line in lines())


# ---------------------------------------------------------------- replies


async def test_a_broadcast_with_an_id_has_a_reply(pair, topic):
    """After it was sent on; its receivers get no id."""
    sender, receiver = await pair()

    await sender.send("broadcast", topic=topic, event="typing", payload=1, id=7)

    assert await sender.receive_next("reply") == {"type": "reply", "id": 7, "ok": None}
    assert "id" not in await receiver.receive_next("broadcast")


ANSWERED = {
    "a topic that it does not follow": (4403, '"topic":"boards","event":"x"'),
    "no topic": (4403, '"topic":"","event":"x"'),
    "a payload that is too deep": (4400, '"topic":"%s","event":"x","payload":' + "[" * 200 + "]" * 200),
    "too many values": (4400, '"topic":"%s","event":"x","payload":[' + "1," * 1100 + "1]"),
    **{name: (4400, f'"topic":"%s",{json.dumps(fields)[1:-1]}') for name, fields in REFUSED.items()},
}


@pytest.mark.parametrize("code, fields", ANSWERED.values(), ids=ANSWERED)
async def test_the_reply_says_why_it_is_refused(pair, topic, code, fields):
    """Instead of an error; however often, the connection continues."""
    sender, _ = await pair()

    for _ in range(12):
        await sender.send_to(text_data='{"type":"broadcast","id":8,' + fields.replace("%s", topic) + "}")
    replies = [await sender.receive_next("reply") for _ in range(12)]

    assert {(reply["id"], reply["error"]["code"]) for reply in replies} == {(8, code)}


@pytest.mark.parametrize("answer, code", [(False, 4403), (None, 4403), ("raise", 4500)])
async def test_the_reply_has_the_answer_of_the_feed(monkeypatch, pair, sociable, topic, answer, code):
    """Also where the feed fails; its error text is the server's own."""

    def can_broadcast(self, user, key):
        if answer == "raise":
            raise ZeroDivisionError("secret")
        return answer

    monkeypatch.setattr(sociable, "can_broadcast", can_broadcast, raising=False)
    sender, _ = await pair()

    await sender.send("broadcast", topic=topic, event="typing", id=9)
    reply = await sender.receive_next("reply")

    assert (reply["id"], reply["error"]["code"]) == (9, code)
    assert "secret" not in reply["error"]["message"]


# ---------------------------------------------------------------- how many


async def test_a_flood_of_one_connection_is_cut_and_its_rows_stay(pair, settings, topic, quay, in_database):
    """Messages over the limit are refused; the connection continues, and so does delivery to others."""
    settings.REALTIME = {**settings.REALTIME, "BROADCASTS_PER_SECOND": 0.001, "FEED_SECONDS": 20.0}
    sender, _ = await pair()

    for number in range(21):  # the first one is allowed
        await sender.send("broadcast", topic=topic, event=f"{number}")
    refusals = {await refusal(sender) for _ in range(20)}
    await in_database(quay.entries.create, label="after the flood")

    assert refusals == {(4529, False)}
    assert (await sender.receive_next("changes"))["changes"][0]["row"]["label"] == "after the flood"


@pytest.mark.parametrize("rate", [0.4, 0.09, 1e-6])
async def test_a_low_rate_still_allows_a_broadcast(pair, settings, staff, sign_in, in_database, topic, rate):
    """For a connection, its user and its address."""
    settings.REALTIME = {**settings.REALTIME, "BROADCASTS_PER_SECOND": rate}
    sender, receiver = await pair(session=await in_database(sign_in, staff))

    await sender.send("broadcast", topic=topic, event="typing")

    assert (await receiver.receive_next("broadcast"))["event"] == "typing"


async def test_a_rate_of_zero_allows_none(pair, settings, staff, sign_in, in_database, topic):
    """It is how a project turns broadcasts off."""
    settings.REALTIME = {**settings.REALTIME, "BROADCASTS_PER_SECOND": 0}
    sender, _ = await pair(session=await in_database(sign_in, staff))

    await sender.send("broadcast", topic=topic, event="typing")

    assert await refusal(sender) == (4529, False)


@pytest.mark.parametrize("limit", [10, 4096, 10_000])
async def test_the_limit_of_the_welcome_is_the_one_that_counts(sociable, settings, connect, topic, limit):
    """A page that keeps to it is never refused; one byte more is."""
    settings.REALTIME = {**settings.REALTIME, "MAX_BROADCAST_BYTES": limit}
    sender, receiver = connect(), connect()
    welcome = await sender.open()
    await receiver.open()
    for peer in (sender, receiver):
        await peer.follow(topic)

    await sender.send("broadcast", topic=topic, event="fits", payload="x" * (limit - 2))
    received = await receiver.receive_next("broadcast")
    await sender.send("broadcast", topic=topic, event="does not", payload="x" * (limit - 1))

    assert (welcome["max_broadcast_bytes"], received["event"]) == (limit, "fits")
    assert await refusal(sender) == (4400, False)


@pytest.mark.parametrize("shared", ["address", "user"])
async def test_more_connections_do_not_allow_more(
    sociable, connect, service, staff, sign_in, in_database, topic, shared
):
    """The limit of an address, and of a user, counts all of theirs."""
    budgets = {"address": service.broadcasts_of_addresses, "user": service.broadcasts_of_users}[shared]
    budgets.spend("127.0.0.1" if shared == "address" else staff.pk, 1000)
    budgets._rate = 0.001
    for bucket in budgets._buckets.values():
        bucket._rate = 0.001
    sender = connect(session=await in_database(sign_in, staff))
    await sender.open()
    await sender.follow(topic)

    await sender.send("broadcast", topic=topic, event="typing")

    error = await sender.receive_next("error")
    assert (error["code"], shared in error["message"]) == (4529, True)


async def test_a_process_delivers_only_so_many(pair, topic, monkeypatch):
    """Fan-out multiplies: what is beyond the process's share is dropped, and no connection ends."""
    sender, receiver = await pair()
    deliveries = get_service().hub.broadcasts._deliveries
    deliveries.spend(1e9, 0.0)
    monkeypatch.setattr(deliveries, "_rate", 1e-9)

    await sender.send("broadcast", topic=topic, event="dropped")
    await sender.send("ping")
    await sender.receive_next("heartbeat")
    monkeypatch.setattr(deliveries, "_level", 100.0)
    await sender.send("broadcast", topic=topic, event="delivered")

    assert (await receiver.receive_next("broadcast"))["event"] == "delivered"


# ---------------------------------------------------------------- rights


async def test_a_receiver_that_has_lost_its_right_receives_nothing(
    sociable, connect, staff, sign_in, in_database, secret, lose
):
    """As of rows."""
    sender_user = await in_database(type(staff).objects.create_user, "other", password="words", is_staff=True)
    receiver = connect(session=await in_database(sign_in, staff))
    await receiver.open()
    await receiver.follow(secret)
    await in_database(lose, staff)
    await receiver.receive_next("error", secret)
    sender = connect(session=await in_database(sign_in, sender_user))
    await sender.open()
    await sender.follow(secret)

    await sender.send("broadcast", topic=secret, event="typing", payload="s3cret")
    await sender.send("ping")
    await sender.receive_next("heartbeat")
    await receiver.send("ping")

    assert (await receiver.receive())["type"] == "heartbeat"


async def test_nothing_is_delivered_while_rights_are_asked(pair, topic, monkeypatch):
    """A change that may have closed the topic has arrived, and it is not known yet which visitors it shuts out."""
    sender, receiver = await pair()
    shared = get_service().hub._shared[topic]
    with monkeypatch.context() as patch:
        patch.setattr(type(shared), "is_in_question", True)
        patch.setattr(broadcasts, "QUESTION_SECONDS", 0.05)
        await sender.send("broadcast", topic=topic, event="too early")
        await sender.send("ping")
        await sender.receive_next("heartbeat")
        await until(lambda: not get_service().hub.broadcasts._tasks)

    await sender.send("broadcast", topic=topic, event="later")

    assert (await receiver.receive_next("broadcast"))["event"] == "later"


async def test_a_topic_is_in_question_until_its_subscribers_were_asked(pair, topic):
    """Also while it may lack a change of the tables that rights depend on."""
    await pair()
    shared = get_service().hub._shared[topic]
    await until(lambda: not shared.is_in_question)

    shared._is_stale = True
    stale = shared.is_in_question
    shared._is_stale = False
    shared.rights_since = Position(shared.rights_since.epoch, 10**12)

    assert stale
    assert shared.is_in_question


# ---------------------------------------------------------------- other processes and transports


async def test_what_another_process_sends_is_delivered_once(pair, topic):
    """With its seal, and by its own number not again where it began."""
    _, receiver = await pair()
    layer = get_service().hub._channel._layer
    text = msgspec.json.encode(Broadcast(topic, "typing", msgspec.Raw(b"[1]"), sender="far")).decode()

    await layer.group_send(
        group(topic), sealed({"type": BROADCAST_TYPE, "process": "another", "message": text})
    )

    received = await receiver.receive_next("broadcast")
    assert (received["sender"], received["payload"]) == ("far", [1])


@pytest.mark.parametrize(
    "message",
    [
        {"process": "another"},
        {"process": "another", "message": 5},
        {"process": "another", "message": "garbage"},
        {"process": "another", "message": '{"type":"bye","code":1,"reason":""}'},
        {"message": '{"type":"broadcast","topic":"TOPIC","event":"x","payload":1}'},
    ],
    ids=["no message", "a number", "garbage", "another message", "no process"],
)
async def test_a_layer_message_that_is_no_broadcast_is_dropped(pair, topic, message, lines):
    """One of a later version, for example; delivery continues."""
    sender, receiver = await pair()
    layer = get_service().hub._channel._layer
    forged = {
        name: value.replace("TOPIC", topic) if isinstance(value, str) else value
        for name, value in message.items()
    }
    await layer.group_send(group(topic), sealed({"type": BROADCAST_TYPE, **forged}))
    await layer.group_send(
        group(topic),
        {
            "type": BROADCAST_TYPE,
            "process": "x",
            "message": json.dumps({"type": "broadcast"}),
            "seal": "forged",
        },
    )

    await until(lambda: len([line for line in lines(logging.WARNING) if "broadcast not" in line]) >= 1)
    await sender.send("broadcast", topic=topic, event="good")

    assert (await receiver.receive_next("broadcast"))["event"] == "good"
    assert not any("Traceback" in line for line in lines())


async def test_a_layer_that_hangs_delays_no_message_of_the_client(pair, topic, monkeypatch):
    """Its acknowledgements among them; the subscribers of this process receive it all the same."""
    sender, receiver = await pair()
    layer = get_service().hub._channel._layer

    async def hang(*args):
        await asyncio.Event().wait()

    monkeypatch.setattr(layer, "group_send", hang)
    monkeypatch.setattr(broadcasts, "MAX_SENDING", 2)
    for number in range(5):
        await sender.send("broadcast", topic=topic, event=f"{number}")
    await sender.send("ping")
    await sender.receive_next("heartbeat")

    assert [(await receiver.receive_next("broadcast"))["event"] for _ in range(5)] == list("01234")


async def test_a_slow_client_loses_broadcasts_and_not_its_connection(sociable, service, topic):
    """They neither fill its memory nor end it; rows count as before."""
    slow = Follower(topic)
    await slow.follow(service.hub)

    taken = [slow.session.offer(Broadcast(topic, f"{number}")) for number in range(1000)]

    assert taken == [True] * 16 + [False] * 984
    assert slow.session.ending is None
    service.hub.unsubscribe(topic, slow)


async def test_streams_and_polls_receive_broadcasts_and_viewers(pair, application, topic):
    """A stream at once; a poll with its answer, after a second at the earliest."""
    sender, _ = await pair()
    headers = {"origin": "http://localhost"}
    stream = Request(application, "/realtime/sse/", [("topic", topic)], headers=headers)
    await stream.start()
    first = Request(application, f"/realtime/topics/{topic}/", headers=headers)
    position = (await first.fetch())[2]["position"]
    poll = Request(
        application, f"/realtime/topics/{topic}/", [("since", position), ("wait", "25")], headers=headers
    )
    answer = asyncio.create_task(poll.fetch())
    hub = get_service().hub
    await until(lambda: len(hub._shared[topic].subscribers) == 4)
    await until(lambda: (hub.presence(topic) or Presence("", 0)).viewers >= 3)

    await sender.send("broadcast", topic=topic, event="typing", payload={"a": 1})
    while '"event":"typing"' not in (await stream.chunk())[0]:
        pass
    status, _, body = await answer

    assert status == 200
    assert body["messages"] == []
    kinds = {message["type"]: message for message in body["ephemeral"]}
    assert kinds["broadcast"]["payload"] == {"a": 1}
    assert kinds["presence"]["viewers"] >= 3
    await stream.leave()
