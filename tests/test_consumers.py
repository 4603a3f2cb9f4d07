"""The consumer: handshakes of WebSockets, and both encodings of their messages."""

import asyncio
import logging

import msgspec
import pytest

from tests.conftest import PATIENCE_SECONDS, until
from tests.support.transports import make


@pytest.mark.parametrize(
    "offered, chosen",
    [
        ([], None),
        (["realtime.v1.json"], "realtime.v1.json"),
        (["realtime.v9.json", "realtime.v1.json"], "realtime.v1.json"),
    ],
    ids=["none", "ours", "ours among others"],
)
async def test_a_subprotocol_is_chosen_from_those_offered(connect, offered, chosen):
    """With none offered it is JSON, so that a browser's console works."""
    peer = connect(subprotocols=offered)

    assert await peer.connect(10) == (True, chosen)
    assert await peer.receive() == {
        "type": "welcome",
        "protocol": "realtime.v1",
        "heartbeat_seconds": 15.0,
        "max_message_bytes": 16384,
        "acknowledge_bytes": 65536,
        "max_broadcast_bytes": 4096,
    }


@pytest.mark.parametrize(
    "handshake, why",
    [
        ({"subprotocols": ["realtime.v9.json"]}, "supported are realtime.v1.json"),
        ({"origin": "https://evil.example"}, "is not ours; see CSRF_TRUSTED_ORIGINS"),
        ({"origin": "null"}, "is not ours"),
        ({"origin": "http://["}, "is not ours"),
        ({"headers": [(b"origin", b"https://evil.example")]}, "is not ours"),
        ({"host": "evil.example", "origin": "http://evil.example"}, "is not in ALLOWED_HOSTS"),
        ({"host": "[", "origin": "http://["}, "is not in ALLOWED_HOSTS"),
        ({"headers": [(b"host", b"127.0.0.1")]}, "is not in ALLOWED_HOSTS"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_handshake_from_elsewhere_is_refused(connect, service, lines, handshake, why):
    """Before it is accepted, with one line that gives the reason; nothing is left of it."""
    peer = connect(**handshake)

    is_accepted, _ = await peer.connect(10)

    assert not is_accepted
    (line,) = lines(logging.WARNING)
    assert why in line
    assert "Traceback" not in line
    assert service.hub.connections == []


async def test_a_client_without_an_origin_is_anonymous(connect, staff, sign_in, safe):
    """It is not a browser: it may read what is public, whatever cookies it sends."""
    session = await asyncio.to_thread(sign_in, staff)
    peer = connect(origin=None, session=session)
    await peer.open()

    assert (await peer.follow(f"entries.{safe.pk}"))["code"] == 4403
    assert (await peer.follow("boards"))["type"] == "snapshot"


async def test_topics_in_the_address_are_followed_from_the_beginning(connect, quay, safe, in_database):
    """As by subscribe: each from its position, in its format; one that may not be read is refused alone."""
    topic, secret = f"entries.{quay.pk}", f"entries.{safe.pk}"
    first = connect()
    await first.open()
    position = (await first.follow(topic))["position"]
    query = (
        f"topic={topic}&topic=boards&topic={secret}&format=html&format=rows&format=html&since={position},,"
    )
    peer = connect(query=query)

    welcome = await peer.open()
    answers = {message["topic"]: message for message in [await peer.receive() for _ in range(3)]}
    await in_database(quay.entries.create, label="new")
    (change,) = (await peer.receive_next("changes", topic))["changes"]

    assert welcome["type"] == "welcome"
    assert (answers[topic]["position"], answers[topic]["changes"]) == (position, [])
    assert (answers["boards"]["type"], "row" in answers["boards"]["rows"][0]) == ("snapshot", True)
    assert answers[secret]["code"] == 4403
    assert "new" in change["html"]


@pytest.mark.parametrize(
    "query, code, why",
    [
        ("topic=a&format=xml", 4400, "format is signal, rows or html, not 'xml'"),
        ("topic=a&topic=b&since=e.1", 4400, "1 positions for 2 topics"),
        ("topic=%ff", 4400, "cannot be parsed"),
        ("topic=a&topic=b&topic=c", 4529, "no more than 2 topics"),
    ],
)
async def test_an_address_with_impossible_topics_is_refused(connect, settings, query, code, why):
    """With a reason: accepted, then closed."""
    settings.REALTIME = {**settings.REALTIME, "MAX_SUBSCRIPTIONS": 2}
    peer = connect(query=query)

    await peer.connect(PATIENCE_SECONDS)
    (_, bye), closed = await peer.receive_rest()

    assert (bye["type"], bye["code"], closed) == ("bye", code, code)
    assert why in bye["reason"]


async def test_messagepack_and_json_encode_the_same_object(connect, quay):
    """Field by field."""
    text, binary = make("json", connect, None), make("msgpack", connect, None)
    await text.open(f"entries.{quay.pk}")
    await binary.open(f"entries.{quay.pk}")

    assert await text.next() == await binary.next()


async def test_a_text_on_a_binary_connection_is_refused(connect):
    """The error says what kind of message is expected."""
    peer = connect(subprotocols=["realtime.v1.msgpack"])
    await peer.connect(PATIENCE_SECONDS)
    msgspec.msgpack.decode((await peer.receive_output(PATIENCE_SECONDS))["bytes"])

    await peer.send_to(text_data='{"type":"ping"}')
    error = msgspec.msgpack.decode((await peer.receive_output(PATIENCE_SECONDS))["bytes"])

    assert (error["code"], "binary messages" in error["message"]) == (4400, True)


async def test_a_cancelled_connection_leaves_nothing(connect, service, quay):
    """daphne cancels an application that does not end by itself."""
    topic = f"entries.{quay.pk}"
    peer = connect()
    await peer.open()
    await peer.follow(topic)

    peer.future.cancel()
    await asyncio.gather(peer.future, return_exceptions=True)

    assert service.hub.connections == []
    assert service.hub._shared[topic].subscribers == set()
    await until(lambda: not [one for one in asyncio.all_tasks() if "writer" in one.get_name()])
