"""Connections as they are on real servers: nonsense, foreigners, staff, notices, the log's lines."""

import asyncio
import json
import urllib.error
import urllib.request

import pytest
import websockets
from websockets.asyncio.client import connect

from realtime.engine.messages import Error, Notice
from tests.support.client import Client
from tests.support.servers import Server

NONSENSE = {
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


def new_lines(server: Server, before: str) -> list[str]:
    return server.log.read_text()[len(before) :].splitlines()


@pytest.mark.parametrize(("message", "code"), NONSENSE.values(), ids=NONSENSE.keys())
async def test_a_bad_message_is_answered_and_logged_in_one_line(server, message, code):
    """It gets an error; the connection stays; another notices nothing."""
    async with Client(server.socket_url, "entries.1") as other, connect(server.socket_url) as socket:
        await other.until(lambda: other.replica.position is not None)
        await socket.recv()
        before = server.log.read_text()

        await socket.send(message)
        error = json.loads(await socket.recv())

        assert (error["type"], error["code"]) == ("error", code)
        lines = new_lines(server, before)
        assert len(lines) == 1, lines
        assert "WARNING realtime.connection" in lines[0]
        await socket.send('{"type": "ping"}')
        assert json.loads(await socket.recv())["type"] == "heartbeat"
        assert other.connections == 1


@pytest.mark.parametrize("size", [100_000, 1_000_000, 2_000_000])
async def test_a_megabyte_of_text_ends_its_connection_alone(server, size):
    """A documented close, or the server's own refusal; the process and everybody else go on."""
    async with Client(server.socket_url, "entries.1") as other:
        await other.until(lambda: other.replica.position is not None)
        async with connect(server.socket_url, max_size=None) as socket:
            await socket.send("x" * size)
            await asyncio.wait_for(socket.wait_closed(), 10)

        if size < 2**20:
            assert socket.close_code == 4400
        server.project.connect().execute("UPDATE boards_entry SET label = 'still here' WHERE id = 1")
        await other.until(lambda: "still here" in str(other.replica.rows["1"]))
        assert other.connections == 1
    assert "Traceback" not in server.log.read_text()


async def test_a_position_of_another_epoch_gets_a_snapshot(server):
    """Nothing is wrong with it; nothing can be resumed from it either."""
    async with connect(server.socket_url) as socket:
        await socket.recv()

        await socket.send('{"type": "subscribe", "topic": "entries.1", "position": "abcdef01.7"}')

        assert json.loads(await socket.recv())["type"] == "snapshot"


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1", "http://127.0.0.1:1", "http://["]
)
async def test_a_page_of_another_origin_is_refused(server, origin):
    """403 at the handshake, one line in the log, no database query spent on it."""
    with pytest.raises(websockets.InvalidStatus) as refused:
        await connect(server.socket_url, additional_headers={"Origin": origin})

    assert refused.value.response.status_code in {403, 400}  # 400: daphne reads the address itself
    assert "Traceback" not in server.log.read_text()


async def test_an_unknown_address_is_refused_in_one_line(server):
    """A socket that no route knows is no reason for a traceback."""
    with pytest.raises(websockets.WebSocketException):
        await connect(server.socket_url.replace("/ws/", "/nowhere/"))

    assert "Traceback" not in server.log.read_text()


async def test_events_of_a_connection_are_logged_once(server):
    """Open, each message, close with its code."""
    before = server.log.read_text()
    async with connect(server.socket_url) as socket:
        await socket.recv()
        await socket.send('{"type": "call", "id": 1, "action": "echo", "args": {"text": "secret words"}}')
        await socket.recv()
        await socket.close(4999)
    async with asyncio.timeout(10):
        while not any("close 4999" in line for line in new_lines(server, before)):
            await asyncio.sleep(0.05)

    lines = new_lines(server, before)
    assert len(lines) == 3
    assert "open from 127.0.0.1:" in lines[0]
    assert "message call 'echo'" in lines[1]
    assert "secret words" not in str(lines)


async def test_a_staff_board_leaks_nothing_to_others(server):
    """While its rows are changed, moved and deleted, one who may not see it receives no word of it."""
    database = server.project.connect()
    async with Client(server.socket_url, "entries.1") as client, connect(server.socket_url) as stranger:
        await client.until(lambda: client.replica.position is not None)
        await stranger.recv()
        await stranger.send('{"type": "subscribe", "topic": "entries.3"}')
        assert json.loads(await stranger.recv())["code"] == 4403

        database.execute("INSERT INTO boards_entry (id, board_id, label) VALUES (700, 3, 'secret')")
        database.execute("UPDATE boards_entry SET value = 'secret' WHERE board_id = 3")
        database.execute("UPDATE boards_entry SET board_id = 3, label = 'secret' WHERE id = 1")
        await client.until(lambda: "1" not in client.replica.rows)
        database.execute("DELETE FROM boards_entry WHERE board_id = 3")
        database.execute("UPDATE boards_entry SET label = 'public' WHERE id = 2")
        await client.until(lambda: "public" in str(client.replica.rows["2"]))

        assert "secret" not in str(client.seen)
        assert "700" not in str(client.seen)
        await stranger.send('{"type": "ping"}')
        assert json.loads(await stranger.recv()) == {"type": "heartbeat", "positions": {}}


async def test_a_board_made_staff_only_is_taken_from_those_who_follow_it(server):
    """Within the recheck interval they are told, and hear nothing more."""
    database = server.project.connect()
    async with Client(server.socket_url, "entries.1") as client:
        await client.until(lambda: client.replica.position is not None)

        database.execute("UPDATE boards_board SET is_public = 0 WHERE id = 1")
        await client.until(lambda: isinstance(client.seen[-1], Error))

        assert client.seen[-1].code == 4403
        database.execute("UPDATE boards_entry SET label = 'secret'")
        async with Client(server.socket_url, "entries.2") as other:
            await other.until(lambda: "secret" in str(other.replica.rows))
        assert "secret" not in str(client.seen)


async def test_a_notice_from_another_process_reaches_every_page_or_those_of_a_topic(server):
    """``manage.py broadcast``: to all, then to the pages of one board; an unknown topic is an error."""
    async with Client(server.socket_url, "entries.1") as one, Client(server.socket_url, "entries.2") as other:
        for client in (one, other):
            await client.until(lambda client=client: client.replica.position is not None)

        server.project.manage("broadcast", "Back at 14:00")
        server.project.manage("broadcast", "Gate closed", "--topic", "entries.2")
        refused = server.project.manage("broadcast", "x", "--topic", "nothing", check=False)

        for client in (one, other):
            await client.until(lambda client=client: Notice("Back at 14:00") in client.seen)
        await other.until(lambda: Notice("Gate closed", "entries.2") in other.seen)
        assert "Gate closed" not in str(one.seen)
        assert other.seen.count(Notice("Back at 14:00")) == 1
        assert refused.returncode == 1
        assert "no topic 'nothing'" in refused.stderr


@pytest.mark.parametrize("prefix", ["//evil.example", "/public"])
def test_no_client_can_set_the_script_prefix(server, prefix):
    """daphne takes it from a header; it would end up in the address of every script, for everyone."""
    request = urllib.request.Request(
        f"{server.url}{prefix}/admin/login/", headers={"Daphne-Root-Path": prefix}
    )

    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code == 404

    request = urllib.request.Request(f"{server.url}/admin/login/", headers={"Daphne-Root-Path": prefix})
    assert f'="{prefix}' not in urllib.request.urlopen(request).read().decode()
