"""WebSocket connections to real servers: invalid messages, foreign origins, staff boards, notices, log lines."""

import asyncio
import json
import re
import urllib.error
import urllib.request

import pytest
import websockets

from realtime.engine.messages import Error, Notice
from tests.processes.sockets import PATIENCE_SECONDS, opened, receive
from tests.support.client import Client
from tests.support.servers import Server

INVALID = {
    "not JSON": ("hello", 4400),
    "unknown type": ('{"type": "shout"}', 4400),
    "unknown topic": ('{"type": "subscribe", "topic": "no.1"}', 4404),
    "no such key": ('{"type": "subscribe", "topic": "entries.x"}', 4404),
    "staff only": ('{"type": "subscribe", "topic": "entries.3"}', 4403),
    "no position": ('{"type": "subscribe", "topic": "entries.1", "position": "x"}', 4400),
    "deep": ("[" * 10_000, 4400),
    "binary": (b"\x00\xff", 4400),
    "empty": ("", 4400),
}
ECHO = '{"type": "call", "id": 1, "action": "echo", "args": {"text": "x"}}'


def new_lines(server: Server, before: str) -> list[str]:
    return server.log.read_text()[len(before) :].splitlines()


@pytest.mark.parametrize(("message", "code"), INVALID.values(), ids=INVALID.keys())
async def test_an_invalid_message_is_answered_and_logged_in_one_line(
    shared: Server, message: str | bytes, code: int
) -> None:
    """The answer is an error; this connection and others stay open."""
    async with Client(shared.socket_url, "entries.1") as other, opened(shared.socket_url) as socket:
        await other.until_snapshot()
        await receive(socket, "welcome")
        before = shared.log.read_text()

        await socket.send(message)
        error = await receive(socket, "error")

        assert error["code"] == code
        lines = [line for line in new_lines(shared, before) if " close " not in line]
        assert len(lines) == 1, lines
        assert "WARNING realtime.connection" in lines[0]
        await socket.send(ECHO)
        await receive(socket, "reply")
        assert other.connections == 1


@pytest.mark.parametrize("size", [100_000, 1_000_000, 2_000_000])
async def test_a_message_that_is_too_long_ends_only_its_own_connection(shared: Server, size: int) -> None:
    """The close code is a documented one or the server's own; the process and other connections continue."""
    async with Client(shared.socket_url, "entries.1") as other:
        await other.until_snapshot()
        async with opened(shared.socket_url, max_size=None) as socket:
            await socket.send("x" * size)
            await asyncio.wait_for(socket.wait_closed(), PATIENCE_SECONDS)

        if size < 2**20:
            assert socket.close_code == 4400
        label = f"after {size} bytes"
        shared.project.connect().execute("UPDATE boards_entry SET label = ? WHERE id = 1", [label])
        await other.until_row("1", label)
        assert other.connections == 1
    assert "Traceback" not in shared.log.read_text()


async def test_a_position_of_another_epoch_gets_a_snapshot(shared: Server) -> None:
    """The position is valid, but the server cannot resume from it."""
    async with opened(shared.socket_url) as socket:
        await socket.send('{"type": "subscribe", "topic": "entries.1", "position": "abcdef01.7"}')

        answer = await receive(socket, "snapshot", "changes", "error")
        assert answer["type"] == "snapshot"


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1", "http://127.0.0.1:1", "http://["]
)
async def test_a_page_of_another_origin_is_refused(shared: Server, origin: str) -> None:
    """The handshake is answered with 403 and the log has no traceback."""
    with pytest.raises(websockets.InvalidStatus) as refused:
        await opened(shared.socket_url, additional_headers={"Origin": origin})

    assert refused.value.response.status_code in {403, 400}  # 400: daphne parses the address itself
    assert "Traceback" not in shared.log.read_text()


async def test_a_socket_at_an_unknown_address_is_closed_with_4404(shared: Server) -> None:
    """It is accepted first, since browsers do not report a refused handshake; the log has one line and no traceback."""
    async with opened(shared.socket_url.replace("/ws/", "/nowhere/")) as socket:
        await asyncio.wait_for(socket.wait_closed(), PATIENCE_SECONDS)

    assert socket.close_code == 4404
    assert shared.log.read_text().count("no address '/realtime/nowhere/'") == 1
    assert "Traceback" not in shared.log.read_text()


async def test_each_event_of_a_connection_is_logged_once(shared: Server) -> None:
    """The events are its opening, each message, and its end with the close code; arguments are not logged."""
    before = shared.log.read_text()
    async with opened(shared.socket_url) as socket:
        await receive(socket, "welcome")
        await socket.send('{"type": "call", "id": 1, "action": "echo", "args": {"text": "secret words"}}')
        await receive(socket, "reply")
        await socket.close(4999)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not any("close 4999" in line for line in new_lines(shared, before)):
            await asyncio.sleep(0.05)

    (name,) = re.findall(r"(c\d+) close 4999", shared.log.read_text()[len(before) :])
    lines = [line for line in new_lines(shared, before) if f" {name} " in line]
    assert len(lines) == 3
    assert "open from 127.0.0.1:" in lines[0]
    assert "message call 'echo'" in lines[1]
    assert "secret words" not in str(lines)


async def test_changes_of_a_staff_board_do_not_reach_others(server: Server) -> None:
    """Its rows are inserted, changed, moved and deleted; a client without the right receives only heartbeats."""
    database = server.project.connect()
    async with Client(server.socket_url, "entries.1") as client, opened(server.socket_url) as stranger:
        await client.until_snapshot()
        await stranger.send('{"type": "subscribe", "topic": "entries.3"}')
        assert (await receive(stranger, "error", "snapshot"))["code"] == 4403

        database.execute("INSERT INTO boards_entry (id, board_id, label) VALUES (700700700, 3, 'secret')")
        database.execute("UPDATE boards_entry SET value = 'secret' WHERE board_id = 3")
        database.execute("UPDATE boards_entry SET board_id = 3, label = 'secret' WHERE id = 1")
        await client.until(lambda: "1" not in client.replica.rows)
        database.execute("DELETE FROM boards_entry WHERE board_id = 3")
        database.execute("UPDATE boards_entry SET label = 'public' WHERE id = 2")
        await client.until_row("2", "public")

        assert "secret" not in str(client.seen)
        assert "700700700" not in str(client.seen)
        await stranger.send(ECHO)
        while (message := json.loads(await stranger.recv()))["type"] != "reply":
            assert message == {"type": "heartbeat", "positions": {}}


async def test_subscribers_of_a_board_that_becomes_staff_only_are_refused(server: Server) -> None:
    """Within the recheck interval they receive an error, and no change after it."""
    database = server.project.connect()
    async with Client(server.socket_url, "entries.1") as client:
        await client.until_snapshot()

        database.execute("UPDATE boards_board SET is_public = 0 WHERE id = 1")
        error = await client.until_message(Error)

        assert error.code == 4403
        async with Client(server.socket_url, "entries.2") as other:
            await other.until(lambda: bool(other.replica.rows))  # the demo's job has measured the server
            database.execute("UPDATE boards_entry SET label = 'secret'")
            await other.until(lambda: "secret" in str(other.replica.rows))
        assert "secret" not in str(client.seen)


async def test_a_notice_from_another_process_reaches_every_page_or_those_of_a_topic(server: Server) -> None:
    """``manage.py broadcast`` reaches all pages, with ``--topic`` those of the topic; an unknown topic is an error."""
    async with Client(server.socket_url, "entries.1") as one, Client(server.socket_url, "entries.2") as other:
        for client in (one, other):
            await client.until_snapshot()

        server.project.manage("broadcast", "Back at 14:00")
        server.project.manage("broadcast", "Gate closed", "--topic", "entries.2")
        refused = server.project.manage("broadcast", "x", "--topic", "nothing", check=False)

        await one.until(lambda: Notice("Back at 14:00") in one.seen)
        await other.until(lambda: Notice("Back at 14:00") in other.seen)
        await other.until(lambda: Notice("Gate closed", "entries.2") in other.seen)
        assert "Gate closed" not in str(one.seen)
        assert other.seen.count(Notice("Back at 14:00")) == 1
        assert refused.returncode == 1
        assert "no topic 'nothing'" in refused.stderr


@pytest.mark.parametrize("prefix", ["//evil.example", "/public"])
def test_no_client_can_set_the_script_prefix(shared: Server, prefix: str) -> None:
    """daphne reads it from a header; it would become part of the address of every script, for all users."""
    request = urllib.request.Request(
        f"{shared.url}{prefix}/admin/login/", headers={"Daphne-Root-Path": prefix}
    )

    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code == 404

    request = urllib.request.Request(f"{shared.url}/admin/login/", headers={"Daphne-Root-Path": prefix})
    assert f'="{prefix}' not in urllib.request.urlopen(request).read().decode()
