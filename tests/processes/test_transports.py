"""Transports on real servers, as other programs use them: curl, plain HTTP requests, clients that do not read."""

import asyncio
import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from tests.processes.sockets import PATIENCE_SECONDS
from tests.support.client import Client
from tests.support.servers import Server
from tests.support.stalled import stalled_socket, stalled_stream

MIB = 2**20


def curl(server: Server, path: str, *arguments: str, until: Callable[[str], bool]) -> str:
    """Return what curl printed of a stream, ended after the first line with which the condition holds."""
    command = ["curl", "--silent", "--no-buffer", "--max-time", str(PATIENCE_SECONDS), *arguments]
    printed = ""
    with subprocess.Popen([*command, f"{server.url}{path}"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            printed += line
            if until(printed):
                process.terminate()
                return printed
    pytest.fail(f"the stream ended after {printed!r}")


def poll(server: Server, parameters: str = "") -> tuple[dict[str, Any], str]:
    """Return the answer to a poll, and its ETag."""
    address = f"{server.url}/realtime/topics/entries.1/{parameters}"
    with urllib.request.urlopen(address, timeout=PATIENCE_SECONDS) as response:
        return json.load(response), response.headers["ETag"]


def snapshot_of_a_begun_log(server: Server) -> tuple[dict[str, Any], str]:
    """Return the same, polled until the position has an epoch: a server that has just started has none yet."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        answer, tag = poll(server)
        if not answer["position"].startswith("."):
            return answer, tag
        assert time.monotonic() < deadline, "the log does not begin"
        time.sleep(0.05)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_resumes_a_stream(server: Server) -> None:
    """``Last-Event-ID`` brings the missed changes and no snapshot."""
    snapshot_of_a_begun_log(server)
    path = "/realtime/sse/?topic=entries.1"
    first = curl(server, path, until=lambda text: '"type":"snapshot"' in text and "id: " in text)
    ids = [line.removeprefix("id: ") for line in first.splitlines() if line.startswith("id: ")]
    database = server.project.connect()
    database.execute("UPDATE boards_entry SET label = 'missed' WHERE id = 1")

    again = curl(server, path, "--header", f"Last-Event-ID: {ids[-1]}", until=lambda text: '"missed"' in text)

    data = [
        json.loads(line.removeprefix("data: ")) for line in again.splitlines() if line.startswith("data: ")
    ]
    (changes,) = [message for message in data if message["type"] == "changes" and message["changes"]]
    assert [change["row"]["label"] for change in changes["changes"]] == ["missed"]
    assert "snapshot" not in again


def test_a_poll_is_plain_http(server: Server) -> None:
    """It gets a snapshot, 304 while nothing changes, and with ``since`` the changes after that position."""
    snapshot, tag = snapshot_of_a_begun_log(server)
    address = f"{server.url}/realtime/topics/entries.1/"
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(
            urllib.request.Request(address, headers={"If-None-Match": tag}), timeout=PATIENCE_SECONDS
        )
    assert raised.value.code == 304

    server.project.connect().execute("UPDATE boards_entry SET label = 'polled' WHERE id = 1")
    answer, _ = poll(server, f"?since={snapshot['position']}&wait=10")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not answer["messages"]:
        assert time.monotonic() < deadline, "the change does not arrive"
        answer, _ = poll(server, f"?since={snapshot['position']}&wait=10")

    (message,) = answer["messages"]
    assert message["changes"][0]["row"]["label"] == "polled"


@pytest.mark.parametrize("stall", [stalled_socket, stalled_stream], ids=["socket", "stream"])
async def test_clients_that_do_not_read_cost_little_memory_and_delay_no_other(
    server: Server, stall: Callable[[Server], socket.socket]
) -> None:
    """Ten megabytes of changes are made, which the server would have to send to each: it keeps less than two."""
    database = server.project.connect()
    assert server.process is not None
    process = psutil.Process(server.process.pid)

    async def change(times: int, mark: str) -> None:
        for number in range(times):
            note = f"{mark} {number} {'x' * 110_000}"
            await asyncio.to_thread(database.execute, "UPDATE boards_entry SET note = ? WHERE id = 1", [note])
            await client.until_row("1", note)

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

            # A client that reads again receives the current rows.
            database.execute("UPDATE boards_entry SET note = 'the last word' WHERE id = 1")
            await asyncio.to_thread(read_until, stalled[0], b"the last word")
    assert grown < 2 * MIB


def read_until(opened: socket.socket, words: bytes) -> None:
    read, deadline = b"", time.monotonic() + PATIENCE_SECONDS
    while words not in read:
        assert time.monotonic() < deadline
        read = read[-len(words) :] + opened.recv(65536)
