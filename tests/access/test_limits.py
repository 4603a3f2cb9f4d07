"""Limits: how many connections and calls are served at once, each at its edge."""

import asyncio

import pytest

from realtime.access.limits import Place, Places, TooMuch
from realtime.access.visitors import ANONYMOUS, Visitor
from tests.conftest import PATIENCE_SECONDS, until
from tests.support.transports import Request

SESSION = Visitor("a" * 32)


@pytest.mark.parametrize(
    "setting, owners, other",
    [
        ("MAX_CONNECTIONS", ("1.1.1.1", ANONYMOUS), None),
        ("MAX_CONNECTIONS_PER_ADDRESS", ("1.1.1.1", ANONYMOUS), ("2.2.2.2", ANONYMOUS)),
        ("MAX_CONNECTIONS_PER_SESSION", (None, SESSION), (None, Visitor("b" * 32))),
    ],
)
def test_there_is_room_up_to_the_limit(settings, setting, owners, other):
    """One more is refused, others are not; a place that is left makes room for one."""
    settings.REALTIME = {setting: 3}
    places = Places()
    used = [places.enter(*owners) for _ in range(3)]

    with pytest.raises(TooMuch, match="no more than 3 "):
        places.enter(*owners)
    if other is not None:
        places.enter(*other)
    used.pop().leave()
    used.append(places.enter(*owners))
    with pytest.raises(TooMuch):
        places.enter(*owners)


def test_a_refused_connection_uses_no_place(settings):
    """Neither of the kind that is full nor of any other."""
    settings.REALTIME = {"MAX_CONNECTIONS": 2, "MAX_CONNECTIONS_PER_ADDRESS": 1}
    places = Places()
    places.enter("1.1.1.1", ANONYMOUS)
    for _ in range(5):
        with pytest.raises(TooMuch):
            places.enter("1.1.1.1", ANONYMOUS)

    assert isinstance(places.enter("2.2.2.2", ANONYMOUS), Place)


def test_a_place_is_left_once(settings):
    """However often ``leave`` is called."""
    settings.REALTIME = {"MAX_CONNECTIONS": 1}
    places = Places()
    place = places.enter(None, ANONYMOUS)
    place.leave()
    place.leave()

    places.enter(None, ANONYMOUS)
    with pytest.raises(TooMuch):
        places.enter(None, ANONYMOUS)


def test_a_connection_counts_once_for_its_user(settings):
    """However many topics it follows; connections of unknown users have no such limit."""
    settings.REALTIME = {"MAX_CONNECTIONS_PER_USER": 1}
    places = Places()
    one, other = places.enter(None, ANONYMOUS), places.enter(None, ANONYMOUS)
    for _ in range(3):
        one.count_for("user", 7)
        other.count_for("user", None)

    with pytest.raises(TooMuch):
        other.count_for("user", 7)
    one.leave()
    other.count_for("user", 7)


def test_places_are_known_by_their_owners():
    """Those in use: an operator sees who has how many."""
    places = Places()
    first, second = places.enter("192.0.2.1", ANONYMOUS), places.enter("192.0.2.1", Visitor("key"))
    places.enter("192.0.2.2", ANONYMOUS)
    second.count_for("user", 7)

    assert places.in_use_by("address") == {"192.0.2.1": 2, "192.0.2.2": 1}
    assert places.in_use_by("user") == {"7": 1}
    first.leave()
    second.leave()
    assert places.in_use_by("address") == {"192.0.2.2": 1}
    assert places.in_use_by("user") == {}


# ---------------------------------------------------------------- over each transport


async def test_a_socket_too_many_is_told_when_to_come_back(connect, settings, service):
    """It is accepted only to be sent the reason; it follows nothing, and uses no place."""
    settings.REALTIME |= {"MAX_CONNECTIONS": 1}
    first, second = connect(), connect()
    await first.open()

    await second.open()
    (bye,), code = await second.receive_rest()

    assert (bye["code"], code) == (4529, 4529)
    assert "no more than 1 connections of this server" in bye["reason"]
    assert 15 <= bye["retry_after_seconds"] <= 30
    await second.disconnect(timeout=PATIENCE_SECONDS)
    await first.disconnect(timeout=PATIENCE_SECONDS)
    third = connect()
    assert (await third.open())["type"] == "welcome"
    await third.send("ping")
    assert (await third.receive())["type"] == "heartbeat"


async def test_a_connection_too_many_of_a_user_follows_nothing(
    connect, settings, staff, sign_in, in_database, quay
):
    """Its user is known when it asks for a topic; it may stay, and ask again when others have left."""
    settings.REALTIME |= {"MAX_CONNECTIONS_PER_USER": 1}
    one, other = [connect(session=await in_database(sign_in, staff)) for _ in range(2)]
    await one.open()
    await other.open()

    assert (await one.follow("boards"))["type"] == "snapshot"
    refused = await other.follow("boards")
    await one.disconnect(timeout=PATIENCE_SECONDS)

    assert (refused["type"], refused["code"]) == ("error", 4529)
    assert (await other.follow("boards"))["type"] == "snapshot"


@pytest.mark.parametrize("path", ["/realtime/sse/", "/realtime/topics/boards/"])
async def test_a_request_too_many_is_429(application, settings, service, path):
    """The answer says after which time to try again."""
    settings.REALTIME |= {"MAX_CONNECTIONS_PER_ADDRESS": 0}

    status, headers, answer = await Request(application, path, [("topic", "boards")]).fetch()

    assert status == 429
    assert int(headers["retry-after"]) > 0
    assert answer["errors"][0]["code"] == 4529


async def test_a_poll_leaves_its_place(application, settings, service, quay):
    """After it was answered, refused or given up."""
    settings.REALTIME |= {"MAX_CONNECTIONS": 1}
    for topic, expected in [("boards", 200), ("nothing", 404), ("staffboards", 403), ("boards", 200)]:
        status, _, _ = await Request(application, f"/realtime/topics/{topic}/").fetch()
        assert status == expected
    status, headers, _ = await Request(application, "/realtime/topics/boards/").fetch()
    waiting = Request(
        application, "/realtime/topics/boards/", [("wait", "20")], headers={"if-none-match": headers["etag"]}
    )
    answer = asyncio.create_task(waiting.fetch())
    await until(lambda: service.hub.size == 1)
    await waiting.leave()
    assert waiting.future.done()
    answer.cancel()  # a client that has left is sent nothing
    assert (await Request(application, "/realtime/topics/boards/").fetch())[0] == 200


@pytest.mark.parametrize(
    "method, path, body",
    [
        ("GET", "/realtime/topics/boards/", b""),
        ("POST", "/realtime/calls/", b'{"action": "echo", "args": {"text": "hi"}}'),
        ("POST", "/realtime/calls/", b'{"action": "echo", "args": {}}'),
    ],
    ids=["poll", "call", "call that fails"],
)
async def test_a_place_is_kept_until_the_answer_has_been_sent(application, service, quay, method, path, body):
    """A client that does not read its answer counts as a connection: its address gets no further one."""
    is_sending, may_send = asyncio.Event(), asyncio.Event()
    events: list[str] = []

    async def send_to_slow_client(event) -> None:
        is_sending.set()
        await may_send.wait()
        events.append(event["type"])

    async def slow_client(scope, receive, send) -> None:
        await application(scope, receive, send_to_slow_client)

    request = Request(
        slow_client, path, method=method, headers={"content-type": "application/json"}, body=body
    )
    await request.send_input({"type": "http.request", "body": body})
    async with asyncio.timeout(PATIENCE_SECONDS):
        await is_sending.wait()
    assert service.places._in_use[("address", "127.0.0.1")] == 1

    may_send.set()
    await request.wait(PATIENCE_SECONDS)

    assert events[0] == "http.response.start"
    assert not service.places._in_use


async def test_a_stream_leaves_its_place(application, settings, service, quay):
    """When its client leaves, and when none of its topics could be followed."""
    settings.REALTIME |= {"MAX_CONNECTIONS": 1}
    for topic, expected in [("staffboards", 403), ("boards", 200), ("boards", 200)]:
        stream = Request(application, "/realtime/sse/", [("topic", topic)])
        status, _ = await stream.start()
        assert status == expected
        await stream.leave()
