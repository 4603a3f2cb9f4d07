"""Other ways in than a WebSocket of our own client, on real servers; and readers that do not read."""

import asyncio
import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

import psutil
import pytest

from tests.support.client import Client
from tests.support.servers import Server
from tests.support.stalled import stalled_socket, stalled_stream

MIB = 2**20


def curl(server: Server, path: str, *arguments: str, seconds: float = 1) -> str:
    """Return what curl printed in so many seconds."""
    command = [
        "curl",
        "--silent",
        "--no-buffer",
        "--max-time",
        str(seconds),
        *arguments,
        f"{server.url}{path}",
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=30).stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_a_stream_resumes_with_plain_curl(server):
    """Last-Event-ID brings what was missed, and nothing else."""
    first = curl(server, "/realtime/sse/?topic=entries.1", seconds=2)
    ids = [line.removeprefix("id: ") for line in first.splitlines() if line.startswith("id: ")]
    database = server.project.connect()
    database.execute("UPDATE boards_entry SET label = 'missed' WHERE id = 1")

    again = curl(server, "/realtime/sse/?topic=entries.1", "--header", f"Last-Event-ID: {ids[-1]}")

    assert '"type":"snapshot"' in first
    data = [
        json.loads(line.removeprefix("data: ")) for line in again.splitlines() if line.startswith("data: ")
    ]
    (changes,) = [message for message in data if message["type"] == "changes" and message["changes"]]
    assert [change["row"]["label"] for change in changes["changes"]] == ["missed"]
    assert "snapshot" not in again


def test_a_poll_is_plain_http(server):
    """A snapshot, then what is new since, then 304."""
    path = f"{server.url}/realtime/topics/entries.1/"
    answer = {"position": "."}
    while answer["position"].startswith("."):  # the log has not begun yet: the server has only just started
        with urllib.request.urlopen(path, timeout=10) as response:
            answer = json.load(response)
            tag = response.headers["ETag"]
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(urllib.request.Request(path, headers={"If-None-Match": tag}), timeout=10)
    assert raised.value.code == 304

    server.project.connect().execute("UPDATE boards_entry SET label = 'polled' WHERE id = 1")
    with urllib.request.urlopen(f"{path}?since={answer['position']}&wait=10", timeout=20) as response:
        (message,) = json.load(response)["messages"]

    assert message["changes"][0]["row"]["label"] == "polled"


@pytest.mark.parametrize("stall", [stalled_socket, stalled_stream], ids=["socket", "stream"])
async def test_readers_that_do_not_read_cost_little_and_hold_up_nobody(server, stall):
    """Ten megabytes of changes, which they would have to be sent: a fraction of it is kept for server."""
    database = server.project.connect()
    process = psutil.Process(server.process.pid)

    async def change(times: int, mark: str) -> None:
        for number in range(times):
            note = f"{mark} {number} {'x' * 110_000}"
            await asyncio.to_thread(database.execute, "UPDATE boards_entry SET note = ? WHERE id = 1", [note])
            await client.until(lambda note=note: note.encode() in client.replica.rows["1"][1])

    async with Client(server.socket_url, "entries.1") as client:
        await client.until_snapshot()
        await change(10, "before")
        before = process.memory_info().rss
        with contextlib.ExitStack() as stack:
            stalled = [await asyncio.to_thread(stall, server) for _ in range(4)]
            for one in stalled:
                stack.enter_context(contextlib.closing(one))
            await change(90, "stalled")
            grown = (process.memory_info().rss - before) / 4

            # Whoever reads again is brought up.
            database.execute("UPDATE boards_entry SET note = 'the last word' WHERE id = 1")
            await asyncio.to_thread(read_until, stalled[0], b"the last word")
    assert grown < 2 * MIB


def read_until(opened: socket.socket, words: bytes) -> None:
    read, deadline = b"", time.monotonic() + 20
    while words not in read:
        assert time.monotonic() < deadline
        read = read[-len(words) :] + opened.recv(65536)
