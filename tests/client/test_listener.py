"""The listener of the Python client against a scripted server: presence and broadcasts."""

import asyncio

from websockets.asyncio.server import ServerConnection

from realtime.client import Broadcast, Listener, Presence
from realtime.engine import messages
from realtime.engine.messages import Changes, Heartbeat, Snapshot
from tests.client.conftest import refusal_of, send
from tests.conftest import PATIENCE_SECONDS


async def next_of(listener: Listener, number: int) -> list[Presence | Broadcast]:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return [await anext(listener) for _ in range(number)]


async def test_it_yields_presence_with_the_names_that_joined_and_left(listening):
    """No rows are requested; a count that repeats the previous one is not yielded."""

    async def script(socket: ServerConnection) -> None:
        await send(socket, Snapshot("t", "e.1", [], False), messages.Presence("t", 2, ["ada"]))
        await send(socket, Changes("t", 1, "e.2", []), messages.Presence("t", 2, ["ada"]))
        await send(socket, messages.Presence("other", 9), messages.Presence("t", 2, ["grace"]))
        await send(socket, Heartbeat({"t": "e.2"}), messages.Presence("t", 1, []))

    scripted, listener = await listening(script)

    assert await next_of(listener, 3) == [
        Presence(2, ("ada",), joined=("ada",)),
        Presence(2, ("grace",), joined=("grace",), left=("ada",)),
        Presence(1, left=("grace",)),
    ]
    assert listener.presence == Presence(1, left=("grace",))
    assert (listener.status, listener.position) == ("live", "e.2")
    assert scripted.asked == [{"type": "subscribe", "topic": "t", "format": "signal"}]


async def test_a_count_without_names(listening):
    """Of a feed whose ``presence`` is "count"; the first one is news also if it is zero."""

    async def script(socket: ServerConnection) -> None:
        await send(socket, messages.Presence("t", 0), messages.Presence("t", 0), messages.Presence("t", 1))

    _, listener = await listening(script)

    assert listener.presence is None
    assert await next_of(listener, 2) == [Presence(0), Presence(1)]


async def test_it_yields_broadcasts_as_they_were_sent(listening):
    """Values, binary data, and nothing; the name is empty unless the feed gives names."""

    async def script(socket: ServerConnection) -> None:
        await socket.send(
            '{"type": "broadcast", "topic": "t", "event": "a", "payload": {"x": [1]}, "sender": "s"}'
        )
        await socket.send(
            '{"type": "broadcast", "topic": "other", "event": "b", "payload": 1, "sender": "s"}'
        )
        await socket.send('{"type": "broadcast", "topic": "t", "event": "c", "data": "AP8=", "name": "ada"}')
        await socket.send('{"type": "broadcast", "topic": "t", "event": "d"}')

    _, listener = await listening(script)

    assert await next_of(listener, 3) == [
        Broadcast("a", {"x": [1]}, "s", ""),
        Broadcast("c", b"\x00\xff", "", "ada"),
        Broadcast("d", None, "", ""),
    ]


async def test_after_a_lost_connection_it_goes_on(listening):
    """It resumes at its position; the known viewers stay until new ones arrive."""

    async def first(socket: ServerConnection) -> None:
        await send(socket, Snapshot("t", "e.1", [], False), messages.Presence("t", 2))
        await socket.close(1001)

    async def second(socket: ServerConnection) -> None:
        await send(socket, messages.Presence("t", 2), messages.Presence("t", 3))

    scripted, listener = await listening(first, second)

    assert await next_of(listener, 2) == [Presence(2), Presence(3)]
    assert scripted.asked[1] == {"type": "subscribe", "topic": "t", "position": "e.1", "format": "signal"}


async def test_a_topic_that_may_not_be_read_has_no_audience_either(listening):
    """The refusal is that of ``follow``."""

    async def script(socket: ServerConnection) -> None:
        await send(socket, messages.Error(4403, "the reason", "t"))

    _, listener = await listening(script)

    assert (await refusal_of(listener)).code == 4403
