"""Subscriptions of the Python client against a scripted server: connections, refusals, broadcasts."""

import asyncio
import json
import subprocess
import sys
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from realtime import client
from realtime.client import NotSent, Refused, follow, listen
from realtime.engine.messages import (
    Broadcast,
    Bye,
    Changes,
    Error,
    Heartbeat,
    Reply,
    ReplyError,
    Snapshot,
    Welcome,
)
from tests.client.conftest import HELLO, JSON, refusal_of, row, send, take
from tests.conftest import PATIENCE_SECONDS


@pytest.mark.parametrize("code", [1000, 1001, 1011, 4500, 4508, 4512, 4529])
async def test_a_connection_that_is_lost_is_made_again_and_resumes(following, code):
    """By whatever code: the rows stay, and only what was missed is sent."""

    async def first(socket: ServerConnection) -> None:
        await send(socket, Snapshot("t", "e.1", [row("a")], False))
        await socket.close(code)

    async def second(socket: ServerConnection) -> None:
        await send(socket, Changes("t", 1, "e.2", [row("b").upsert()]))

    scripted, follower = await following(first, second)

    assert await take(follower, 2) == [("upsert", "a"), ("upsert", "b")]
    assert scripted.asked[1]["position"] == "e.1"


@pytest.mark.parametrize("code", [4400, 4401, 4403, 4404, 4450])
@pytest.mark.parametrize("by", ["close", "bye", "error"])
async def test_a_final_code_ends_it_with_words(following, code, by):
    """Asking again would not help, and a program should not be silent about it."""

    async def script(socket: ServerConnection) -> None:
        if by == "error":
            await send(socket, Error(code, "the reason", "t"))
        elif by == "bye":
            await send(socket, Bye(code, "the reason"))
            await socket.close(1000)
        else:
            await socket.close(code, "the reason")

    scripted, follower = await following(script)

    refused = await refusal_of(follower)

    assert (refused.code, refused.reason) == (code, "the reason")
    assert len(scripted.asked) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 426])
async def test_a_handshake_that_is_refused_ends_it(status):
    """The status of the answer says what to do, as a code does."""

    def refuse(connection: ServerConnection, request: Any) -> Any:
        return connection.respond(status, "no")

    async with serve(lambda socket: None, "127.0.0.1", 0, process_request=refuse) as server:
        port = server.sockets[0].getsockname()[1]
        refused = await refusal_of(follow(f"ws://127.0.0.1:{port}/realtime/ws/", "t"))

    assert refused.code == status


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
async def test_a_server_that_is_unavailable_is_tried_again(status):
    """Also one that is not there at all: tests/processes kills servers."""
    refusals = [status, status]

    def refuse(connection: ServerConnection, request: Any) -> Any:
        return connection.respond(refusals.pop(), "not now") if refusals else None

    async def script(socket: ServerConnection) -> None:
        await send(socket, HELLO, Snapshot("t", "e.1", [row("a")], False))
        await socket.wait_closed()

    async with serve(script, "127.0.0.1", 0, process_request=refuse, subprotocols=JSON) as server:
        port = server.sockets[0].getsockname()[1]
        async with follow(f"ws://127.0.0.1:{port}/", "t", random=lambda: 0.0) as follower:
            assert await take(follower) == [("upsert", "a")]

    assert refusals == []


async def test_errors_that_pass_do_not_end_it(following):
    """The topic cannot be read for a moment: its rows stay, and are not called live."""

    async def script(socket: ServerConnection) -> None:
        await send(socket, Snapshot("t", "e.1", [row("a"), row("b")], False), Error(4500, "later", "t"))
        await send(socket, Changes("t", 1, "e.2", [row("c").upsert()]))

    _, follower = await following(script)
    await take(follower, 2)

    while follower.status == "live":
        await follower.step()

    assert (follower.status, follower.trouble) == ("stale", "later")
    assert await take(follower) == [("upsert", "c")]
    assert (follower.status, follower.trouble) == ("live", "")


async def test_a_topic_that_heartbeats_do_not_name_is_asked_for_again(following):
    """After two of them: the server may have lost the subscription."""
    asked: list[Any] = []

    async def script(socket: ServerConnection) -> None:
        await send(socket, Snapshot("t", "e.1", [row("a")], False), Heartbeat({}), Heartbeat({}))
        asked.append(await scripted.ask(socket))
        await send(socket, Changes("t", 1, "e.2", [row("b").upsert()]))

    scripted, follower = await following(script)

    assert await take(follower, 2) == [("upsert", "a"), ("upsert", "b")]
    assert asked == [{"type": "subscribe", "topic": "t", "position": "e.1"}]


async def test_messages_are_acknowledged(following):
    """After each heartbeat and after ``acknowledge_bytes``: otherwise a server sends nothing more, and ends it."""
    received: list[int] = []

    async def script(socket: ServerConnection) -> None:
        await send(socket, Snapshot("t", "e.1", [row("a", "x" * 500)], False))
        received.append(json.loads(await socket.recv())["received"])
        await send(socket, Heartbeat({"t": "e.1"}), Changes("t", 1, "e.2", [row("b").upsert()]))
        received.append(json.loads(await socket.recv())["received"])

    _, follower = await following(script)

    assert await take(follower, 2) == [("upsert", "a"), ("upsert", "b")]
    assert received[:1] == [2]
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(received) < 2:
            await asyncio.sleep(0.005)
    assert received == [2, 3]


async def test_a_silent_server_is_left(following):
    """No message for two heartbeats: the connection may be half open."""

    async def silent(socket: ServerConnection) -> None:
        await send(socket, Snapshot("t", "e.1", [row("a")], False))

    async def second(socket: ServerConnection) -> None:
        await send(socket, Changes("t", 1, "e.2", [row("b").upsert()]))

    scripted, follower = await following(silent, second, hello=Welcome("realtime.v1", 0.05, 16384, 400, 4096))

    assert await take(follower, 2) == [("upsert", "a"), ("upsert", "b")]
    assert len(scripted.asked) >= 2


async def test_messages_of_an_unknown_type_are_ignored(following):
    """A newer server may have some; a malformed one is no reason to stop either."""

    async def script(socket: ServerConnection) -> None:
        await socket.send('{"type": "presence", "topic": "t", "viewers": 3}')
        await socket.send("{")
        await send(socket, Snapshot("t", "e.1", [row("a")], False))

    _, follower = await following(script)

    assert await take(follower) == [("upsert", "a")]


async def test_a_cancelled_wait_loses_nothing(following):
    """A program may ask for the next change with a time limit, as often as it likes."""
    may_send = asyncio.Event()

    async def script(socket: ServerConnection) -> None:
        await may_send.wait()
        await send(socket, Snapshot("t", "e.1", [row("a")], False))

    _, follower = await following(script)
    for _ in range(5):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await anext(follower)
    may_send.set()

    assert await take(follower) == [("upsert", "a")]


def test_the_pause_between_attempts_grows_and_is_random():
    """Full jitter up to 20 seconds; what a bye has announced counts instead. The first attempt waits for nothing."""
    follower = follow("http://h/", "t", random=lambda: 1.0)

    pauses = []
    for attempt in range(-1, 9):
        follower._attempt = attempt
        pauses.append(follower._pause())
    follower._bye = Bye(4512, "drains", 3.5)

    assert pauses == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0, 20.0]
    assert follower._pause() == 3.5


async def test_every_handshake_has_fresh_credentials(following):
    """Functions for headers and tickets are called each time, synchronous or not: a ticket opens one connection."""
    numbers = iter(range(10))

    async def ticket() -> str:
        return f"ticket-{next(numbers)}"

    async def first(socket: ServerConnection) -> None:
        await socket.close(1001)

    async def second(socket: ServerConnection) -> None:
        await send(socket, Snapshot("t", "e.1", [row("a")], False))

    scripted, follower = await following(
        first,
        second,
        ticket=ticket,
        headers=lambda: {"X-Number": str(next(numbers))},
        cookies={"sessionid": "s"},
    )
    await take(follower)

    one, two = scripted.requests
    assert (one.path, two.path) == ("/realtime/ws/?ticket=ticket-0", "/realtime/ws/?ticket=ticket-2")
    assert (one.headers["X-Number"], two.headers["X-Number"]) == ("1", "3")
    assert one.headers["Cookie"] == "sessionid=s"
    assert one.headers["Origin"] == f"http://{one.headers['Host']}"


async def test_without_cookies_no_origin_is_sent(following):
    """The server's settings decide whether programs may connect; ``origin`` names one."""

    async def script(socket: ServerConnection) -> None:
        await send(socket, Snapshot("t", "e.1", [row("a")], False))

    scripted, follower = await following(script)
    await take(follower)
    other, named = await following(script, origin="https://example.org")
    await take(named)

    assert "Origin" not in scripted.requests[0].headers
    assert other.requests[0].headers["Origin"] == "https://example.org"


async def test_a_plain_loop_yields_the_same(following):
    """For programs without an event loop; leaving the loop closes the connection."""

    async def script(socket: ServerConnection) -> None:
        await send(
            socket, Snapshot("t", "e.1", [row("a")], False), Changes("t", 1, "e.2", [row("b").upsert()])
        )

    _, follower = await following(script)

    def read() -> list[str]:
        keys = []
        for change in follower:
            keys.append(change.key)
            if len(keys) == 2:
                break
        return keys

    assert await asyncio.wait_for(asyncio.to_thread(read), PATIENCE_SECONDS) == ["a", "b"]
    assert follower.is_closed


def test_it_is_importable_without_django():
    """Programs that follow a topic have no settings, and need not have Django."""
    program = (
        "import sys; sys.modules['django'] = None; import realtime.client as c; "
        "print(sorted(c.__all__), [n for n in sys.modules if n.startswith('django.')])"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )

    assert done.stdout == f"{sorted(client.__all__)} []\n"


def test_without_websockets_the_error_names_the_extra():
    program = "import sys; sys.modules['websockets'] = None; import realtime.client"

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120
    )

    assert 'pip install "django-tidemark[client]"' in done.stderr


# ---------------------------------------------------------------- broadcasts


def answering(*errors: ReplyError | None, received: list[dict[str, Any]]):
    """Return a script that answers one broadcast after the other."""

    async def script(socket: ServerConnection) -> None:
        await send(socket, Snapshot("t", "e.1", [], False))
        for error in errors:
            while (message := json.loads(await socket.recv()))["type"] != "broadcast":
                pass
            received.append(message)
            reply = Reply(message["id"], ok=None) if error is None else Reply(message["id"], error=error)
            await send(socket, reply)

    return script


@pytest.mark.parametrize(
    "payload, sent",
    [
        (None, {"payload": None}),
        ({"row": "7", "é": [1, 2.5, True]}, {"payload": {"row": "7", "é": [1, 2.5, True]}}),
        ("text", {"payload": "text"}),
        (b"\x00\xff", {"data": "AP8="}),
        (b"", {"data": ""}),
    ],
    ids=["nothing", "an object", "text", "bytes", "no bytes"],
)
async def test_a_broadcast_returns_when_the_server_has_sent_it_on(following, payload, sent):
    """Before the program asks for changes, too: it connects first."""
    received: list[dict[str, Any]] = []
    _, follower = await following(answering(None, received=received))

    async with asyncio.timeout(PATIENCE_SECONDS):
        await follower.abroadcast("typing", payload)

    assert received == [
        {"type": "broadcast", "topic": "t", "event": "typing", "id": received[0]["id"], **sent}
    ]


@pytest.mark.parametrize(
    "code, advice",
    [
        (4400, "1 to 64 characters"),
        (4403, "can_broadcast"),
        (4404, "send it again later"),
        (4500, "send it again later"),
        (4529, "wait before the next one"),
    ],
)
async def test_a_broadcast_that_is_refused_says_why_and_what_to_do(following, code, advice):
    """The subscription continues, and the next one may be sent."""
    received: list[dict[str, Any]] = []
    _, follower = await following(answering(ReplyError(code, "the reason"), None, received=received))

    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(NotSent, match=advice) as refused:
            await follower.abroadcast("typing")
        await follower.abroadcast("again")

    assert (refused.value.code, refused.value.reason) == (code, "the reason")
    assert str(refused.value).startswith(f"'typing' to 't': the reason ({code})")
    assert [message["event"] for message in received] == ["typing", "again"]


@pytest.mark.parametrize("end", ["the server closes", "the program closes"])
async def test_a_connection_that_ends_before_the_answer(following, end):
    """It may or may not have been sent on or not, and is not repeated."""

    async def script(socket: ServerConnection) -> None:
        while json.loads(await socket.recv())["type"] != "broadcast":
            pass
        if end == "the server closes":
            await socket.close(1001)
        else:
            closing.append(asyncio.create_task(follower.aclose()))

    closing: list[Any] = []
    _, follower = await following(script)

    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(NotSent, match="may or may not have been sent") as refused:
            await follower.abroadcast("typing")

    assert refused.value.code == 1006


async def test_a_broadcast_to_a_topic_that_is_refused(following):
    """The topic's refusal is what the program learns."""

    async def script(socket: ServerConnection) -> None:
        await send(socket, Error(4403, "no", "t"))

    _, follower = await following(script)

    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(Refused, match="can_subscribe"):
            await follower.abroadcast("typing")
        with pytest.raises(NotSent, match="closed"):
            await follower.abroadcast("typing")


@pytest.mark.parametrize(
    "event, payload",
    [("x", "y" * 4095), ("x", b"y" * 4097), ("x" * 17000, None), ("x", ["é" * 3000])],
    ids=["payload", "data", "event", "bytes count"],
)
async def test_what_is_longer_than_the_server_accepts_is_not_sent(following, event, payload):
    """It would be refused, or end the connection."""
    received: list[dict[str, Any]] = []
    _, follower = await following(answering(None, received=received))

    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(ValueError, match="bytes"):
            await follower.abroadcast(event, payload)
        await follower.abroadcast("fits", "y" * 4094)

    assert [message["event"] for message in received] == ["fits"]


@pytest.mark.parametrize(
    "payload", [object(), {"a": [1j]}, {("a", "b"): 1}, "\ud800"], ids=["object", "within", "key", "half"]
)
async def test_a_payload_that_json_lacks_is_not_sent(following, payload):
    """The error says so, and the subscription goes on."""
    received: list[dict[str, Any]] = []
    _, follower = await following(answering(None, received=received))

    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(ValueError, match="neither JSON values nor bytes"):
            await follower.abroadcast("typing", payload)
        await follower.abroadcast("fits", 1)

    assert [message["event"] for message in received] == ["fits"]


@pytest.mark.parametrize("by", ["close", "error"])
async def test_a_refusal_reaches_the_task_that_iterates_whichever_receives_it(following, by):
    """Changes that were received before come first; a loop that only ended would be taken for a closed subscription."""

    async def script(socket: ServerConnection) -> None:
        await send(socket, Snapshot("t", "e.1", [row("a")], False))
        while json.loads(await socket.recv())["type"] != "broadcast":
            pass
        if by == "close":
            await socket.close(4403, "no")
        else:
            await send(socket, Error(4403, "no", "t"))

    _, follower = await following(script)
    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(Refused):
            await follower.abroadcast("typing")

    assert await take(follower) == [("upsert", "a")]
    assert (await refusal_of(follower)).code == 4403


async def test_one_task_broadcasts_while_another_iterates(following):
    """The changes stay in their order, and go to the one that iterates."""
    received: list[dict[str, Any]] = []

    async def script(socket: ServerConnection) -> None:
        await send(socket, Snapshot("t", "e.1", [row("a")], False))
        for number in range(1, 4):
            while (message := json.loads(await socket.recv()))["type"] != "broadcast":
                pass
            received.append(message)
            changes = Changes("t", number, f"e.{number + 1}", [row(f"{number}").upsert()])
            await send(socket, changes, Reply(message["id"], ok=None))

    _, follower = await following(script)
    reading = asyncio.create_task(take(follower, 4))

    async with asyncio.timeout(PATIENCE_SECONDS):
        await asyncio.gather(*(follower.abroadcast(f"{number}") for number in range(3)))

    assert [key for _, key in await reading] == ["a", "1", "2", "3"]
    assert len({message["id"] for message in received}) == 3


async def test_a_program_without_an_event_loop_broadcasts(serving):
    """In a ``with`` block, and in the loop over what arrives."""
    received: list[dict[str, Any]] = []
    _, url = await serving(answering(None, received=received))

    def send_one() -> None:
        with follow(url, "t") as follower:
            follower.broadcast("typing", 1)
        assert follower.is_closed

    async def greeting(socket: ServerConnection) -> None:
        await send(socket, Broadcast("t", "hello"))
        await answering(None, received=received)(socket)

    _, other = await serving(greeting)

    def answer_one() -> None:
        for message in (listener := listen(other, "t")):
            assert isinstance(message, client.Broadcast)
            listener.broadcast("welcome")
            break

    await asyncio.wait_for(asyncio.to_thread(send_one), PATIENCE_SECONDS)
    await asyncio.wait_for(asyncio.to_thread(answer_one), PATIENCE_SECONDS)

    assert [message["event"] for message in received] == ["typing", "welcome"]


def test_without_a_connection_the_error_says_where_to_broadcast():
    """Not the loop's own words about coroutines that were never awaited."""
    with pytest.raises(RuntimeError, match="`with` block"):
        follow("http://h/", "t").broadcast("typing")
