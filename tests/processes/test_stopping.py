"""A server that is stopped ends within a bounded time, whatever its threads are doing."""

import asyncio
import contextlib
import json
import re
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from tests.support import servers
from tests.support.attackers import Attacker, head
from tests.support.client import Client
from tests.support.servers import Project

REQUESTS = [
    *(head(start=b"GET /realtime/topics/%s/ HTTP/1.1" % topic) for topic in (b"stuck_rows", b"stuck_rights")),
    *(
        head(start=b"GET /realtime/sse/?topic=%s HTTP/1.1" % topic)
        for topic in (b"stuck_rows", b"stuck_rights")
    ),
    head(b"Content-Type: application/json", b"Content-Length: 17", start=b"POST /realtime/calls/ HTTP/1.1")
    + b'{"action":"hang"}',
]
"""Each of them waits for a query that does not end."""


@pytest.mark.parametrize("name", ["daphne", "guarded"])
async def test_sigterm_ends_a_server_whose_queries_do_not_end(
    prepared: Project, tmp_path: Path, name: str
) -> None:
    """Queries of rows, of rights, of an action and of a job, all at once; the farewell is still sent.

    Requests and sockets that wait are ended without a traceback, before or although uvicorn cancels them in the end.
    """
    environment = {"DJANGO_SETTINGS_MODULE": "tests.apps.stuck.settings"}
    project = servers.copy(prepared, tmp_path / "project", **environment)
    with servers.running(project, name) as server:
        async with Client(server.socket_url, "boards") as client, contextlib.AsyncExitStack() as stack:
            await client.until_snapshot()
            socket = await stack.enter_async_context(connect(server.socket_url))
            await socket.send(json.dumps({"type": "call", "id": 1, "action": "hang"}))
            for topic in ("stuck_rows", "stuck_rights"):
                other = await stack.enter_async_context(connect(server.socket_url))
                await other.send(json.dumps({"type": "subscribe", "topic": topic}))
            for request in REQUESTS:
                stack.enter_context(Attacker((server.host, server.port), request))
            await client.until_row("1", "")

            status = await asyncio.to_thread(server.stop)

    log = server.log.read_text()
    assert status in (0, -15)
    assert "realtime.service: stopped" in log
    with_traces = [record for record in re.split(r"(?m)^(?=\d{4}-|[A-Z]+:)", log) if "Traceback" in record]
    assert [record for record in with_traces if "OperationalError: interrupted" not in record] == []
