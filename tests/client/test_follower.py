"""The follower of the Python client against a scripted server; tests/processes/test_python_client.py has real ones."""

from typing import Any

from websockets.asyncio.server import ServerConnection

from realtime.engine import messages
from realtime.engine.messages import Changes, Heartbeat, Snapshot
from tests.client.conftest import row, send, take


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
