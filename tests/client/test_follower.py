"""The follower of the Python client against a scripted server; tests/processes/test_python_client.py has real ones."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from msgspec import Raw
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from realtime.client import Follower, Refused, follow
from realtime.engine import messages
from realtime.engine.messages import Bye, Changes, Error, Heartbeat, Row, Snapshot, Welcome
from tests.conftest import PATIENCE_SECONDS

Script = Callable[[ServerConnection], Awaitable[None]]

JSON = [Subprotocol("realtime.v1.json")]
HELLO = Welcome("realtime.v1", 15.0, 16384, 400, 4096)


def row(key: str, name: str = "") -> Row:
    contents = json.dumps({"name": name}).encode()
    return Row(key, key, Raw(contents), digest=messages.digest(key, key, contents))


class Scripted:
    """A server whose connections follow one script after the other; the last one is repeated."""

    def __init__(self, *scripts: Script) -> None:
        self.scripts = list(scripts)
        self.asked: list[dict[str, Any]] = []
        self.requests: list[Any] = []

    async def __call__(self, socket: ServerConnection) -> None:
        self.requests.append(socket.request)
        await send(socket, HELLO)
        self.asked.append(json.loads(await socket.recv()))
        await (self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0])(socket)
        await socket.wait_closed()

    async def ask(self, socket: ServerConnection) -> dict[str, Any]:
        """Return the next message of the client that is no acknowledgement."""
        while (message := json.loads(await socket.recv()))["type"] == "ack":
            pass
        return message


async def send(socket: ServerConnection, *sent: messages.ServerMessage) -> None:
    for message in sent:
        await socket.send(messages.encode(message))


@pytest.fixture
async def following() -> AsyncIterator[Callable[..., Awaitable[tuple[Scripted, Follower]]]]:
    """A function that starts a scripted server and returns it with a follower of it, which never waits to reconnect."""
    servers, followers = [], []

    async def start(*scripts: Script, **options: Any) -> tuple[Scripted, Follower]:
        scripted = Scripted(*scripts)
        server = await serve(scripted, "127.0.0.1", 0, subprotocols=JSON)
        servers.append(server)
        port = server.sockets[0].getsockname()[1]
        follower = follow(f"http://127.0.0.1:{port}/", "t", random=lambda: 0.0, **options)
        followers.append(follower)
        return scripted, follower

    yield start
    for follower in followers:
        await follower.aclose()
    for server in servers:
        server.close()
        await server.wait_closed()


async def take(follower: Follower, number: int = 1) -> list[tuple[str, str]]:
    """Return the next changes, as pairs of op and key."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        return [(change.op, change.key) for change in [await anext(follower) for _ in range(number)]]


async def refusal_of(follower: Follower) -> Refused:
    with pytest.raises(Refused) as refused:
        await take(follower)
    assert follower.is_closed
    assert follower.status == "closed"
    with pytest.raises(StopAsyncIteration):
        await anext(follower)
    return refused.value


async def test_rows_come_first_and_then_what_changes(following):
    """While a change is handled, ``rows`` and ``position`` are those after the message that had it."""

    async def script(socket: ServerConnection) -> None:
        await send(socket, Snapshot("t", "e.1", [row("a")], True), Snapshot("t", "e.1", [row("b")], False))
        await send(socket, Changes("t", 1, "e.2", [messages.delete("a")]))

    scripted, follower = await following(script)

    assert follower.status == "connecting"
    assert await take(follower, 2) == [("upsert", "a"), ("upsert", "b")]
    assert follower.position == "e.1"
    assert list(follower.rows) == ["a", "b"]
    assert follower.status == "live"
    assert await take(follower) == [("delete", "a")]
    assert follower.position == "e.2"
    assert scripted.asked == [{"type": "subscribe", "topic": "t"}]


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
async def test_a_server_that_cannot_now_is_asked_again(status):
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
    """After two of them: the server may not know the subscription any more."""
    asked: list[Any] = []

    async def script(socket: ServerConnection) -> None:
        await send(socket, Snapshot("t", "e.1", [row("a")], False), Heartbeat({}), Heartbeat({}))
        asked.append(await scripted.ask(socket))
        await send(socket, Changes("t", 1, "e.2", [row("b").upsert()]))

    scripted, follower = await following(script)

    assert await take(follower, 2) == [("upsert", "a"), ("upsert", "b")]
    assert asked == [{"type": "subscribe", "topic": "t", "position": "e.1"}]


async def test_rows_that_differ_from_the_servers_are_replaced(following, caplog):
    """By a snapshot, once; if that does not help, the next one waits, and changes arrive meanwhile."""
    asked: list[Any] = []

    async def script(socket: ServerConnection) -> None:
        await send(
            socket, Snapshot("t", "e.1", [row("a", "wrong")], False), Heartbeat({"t": "e.1"}, {"t": 1})
        )
        asked.append(await scripted.ask(socket))
        await send(
            socket, Snapshot("t", "e.1", [row("a", "right")], False), Heartbeat({"t": "e.1"}, {"t": 2})
        )
        await send(socket, Changes("t", 1, "e.2", [row("b").upsert()]), Heartbeat({"t": "e.2"}, {"t": 3}))
        await send(socket, Changes("t", 2, "e.3", [row("c").upsert()]))

    scripted, follower = await following(script)

    assert await take(follower, 4) == [("upsert", "a"), ("upsert", "a"), ("upsert", "b"), ("upsert", "c")]
    assert asked == [{"type": "subscribe", "topic": "t"}]
    assert follower.corrections == 2
    assert follower.status == "live"


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


async def test_a_silent_server_is_left(following, monkeypatch):
    """No message for two heartbeats: the connection may be half open."""
    monkeypatch.setattr(f"{__name__}.HELLO", Welcome("realtime.v1", 0.05, 16384, 400, 4096))

    async def silent(socket: ServerConnection) -> None:
        await send(socket, Snapshot("t", "e.1", [row("a")], False))

    async def second(socket: ServerConnection) -> None:
        await send(socket, Changes("t", 1, "e.2", [row("b").upsert()]))

    scripted, follower = await following(silent, second)

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

    assert done.stdout == "['Change', 'Follower', 'Refused', 'Replica', 'follow', 'tickets'] []\n"


def test_without_websockets_the_error_names_the_extra():
    program = "import sys; sys.modules['websockets'] = None; import realtime.client"

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120
    )

    assert 'pip install "django-tidemark[client]"' in done.stderr
