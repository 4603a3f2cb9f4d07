"""Clients with one interface for every transport: WebSocket with JSON or MessagePack, Server-Sent Events, polling.

``next()`` returns the next message about the topic; ``id`` is the position from which another client can resume.
"""

import asyncio
import json
from collections import deque
from typing import Any
from urllib.parse import urlencode

import msgspec
from asgiref.testing import ApplicationCommunicator
from django.conf import settings

from tests.conftest import PATIENCE_SECONDS, Peer

TRANSPORTS = ["json", "msgpack", "sse", "poll"]
ANSWERS = ("snapshot", "changes", "error")


class Request(ApplicationCommunicator):
    """One HTTP request to an ASGI application."""

    def __init__(
        self,
        application,
        path: str,
        parameters: list[tuple[str, str]] | None = None,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        client: str = "127.0.0.1",
    ) -> None:
        given = {"host": "localhost", **(headers or {})}
        super().__init__(
            application,
            {
                "type": "http",
                "method": method,
                "path": path,
                "query_string": urlencode(parameters or []).encode(),
                "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items()],
                "scheme": "http",
                "client": [client, 9],
            },
        )
        self._body = body

    async def start(self) -> tuple[int, dict[str, str]]:
        """Send the request; return status and headers."""
        await self.send_input({"type": "http.request", "body": self._body})
        event = await self.receive_output(PATIENCE_SECONDS)
        return event["status"], {name.decode(): value.decode() for name, value in event["headers"]}

    async def chunk(self) -> tuple[str, bool]:
        """Return the next part of the body, and whether more follows."""
        event = await self.receive_output(PATIENCE_SECONDS)
        return event.get("body", b"").decode(), event.get("more_body", False)

    async def fetch(self) -> tuple[int, dict[str, str], Any]:
        """Return status, headers and the whole answer, decoded."""
        status, headers = await self.start()
        text, has_more = await self.chunk()
        while has_more:
            part, has_more = await self.chunk()
            text += part
        return status, headers, json.loads(text) if text else None

    async def leave(self) -> None:
        """Disconnect, as a client that closes its connection does."""
        if not self.future.done():
            await self.send_input({"type": "http.disconnect"})
            await asyncio.wait([self.future], timeout=PATIENCE_SECONDS)


class SocketTransport:
    """A WebSocket, in one of its encodings."""

    def __init__(self, connect, encoding: str, session: str | None = None) -> None:
        self._peer: Peer = connect(subprotocols=[f"realtime.v1.{encoding}"], session=session)
        self._encoding = encoding
        self._topic = ""
        self.id: str | None = None

    async def open(self, topic: str, since: str | None = None, format: str = "rows") -> None:
        self._topic = topic
        assert await self._peer.connect(PATIENCE_SECONDS) == (True, f"realtime.v1.{self._encoding}")
        asked = {"type": "subscribe", "topic": topic, "position": since, "format": format}
        if self._encoding == "json":
            await self._peer.send_to(text_data=json.dumps(asked))
        else:
            await self._peer.send_to(bytes_data=msgspec.msgpack.encode(asked))

    async def next(self) -> dict[str, Any]:
        while True:
            event = await self._peer.receive_output(PATIENCE_SECONDS)
            decode = json.loads if self._encoding == "json" else msgspec.msgpack.decode
            message = decode(event["text" if self._encoding == "json" else "bytes"])
            if message.get("topic") == self._topic and message["type"] in ANSWERS:
                self.id = message.get("position", self.id)
                return message

    async def close(self) -> None:
        await self._peer.disconnect(timeout=PATIENCE_SECONDS)


class EventTransport:
    """A stream of Server-Sent Events."""

    def __init__(self, application, headers: dict[str, str]) -> None:
        self._application, self._headers = application, headers
        self._messages: deque[dict[str, Any]] = deque()
        self.id: str | None = None

    async def open(self, topic: str, since: str | None = None, format: str = "rows") -> None:
        headers = {**self._headers, **({} if since is None else {"last-event-id": since})}
        parameters = [("topic", topic), ("format", format)]
        self._request = Request(self._application, "/realtime/sse/", parameters, headers=headers)
        status, _ = await self._request.start()
        if status != 200:
            text, _ = await self._request.chunk()
            self._messages.extend(json.loads(text)["errors"])

    async def next(self) -> dict[str, Any]:
        while not self._messages:
            text, _ = await self._request.chunk()
            fields = dict(line.split(": ", 1) for line in text.strip().splitlines() if line[:1] != ":")
            self.id = fields.get("id", self.id)
            message = json.loads(fields.get("data", "{}"))
            if message.get("type") in ANSWERS:
                self._messages.append(message)
        return self._messages.popleft()

    async def close(self) -> None:
        await self._request.leave()


class PollTransport:
    """One request after another."""

    def __init__(self, application, headers: dict[str, str]) -> None:
        self._application, self._headers = application, headers
        self._messages: deque[dict[str, Any]] = deque()
        self.id: str | None = None

    async def open(self, topic: str, since: str | None = None, format: str = "rows") -> None:
        self._topic, self._path, self._format = topic, f"/realtime/topics/{topic}/", format
        await self._poll(since, 0)

    async def next(self) -> dict[str, Any]:
        while not self._messages:
            await self._poll(self.id, 5)
        return self._messages.popleft()

    async def _poll(self, since: str | None, wait: int) -> None:
        parameters = [("format", self._format), ("wait", str(wait)), *([("since", since)] if since else [])]
        request = Request(self._application, self._path, parameters, headers=self._headers)
        _, _, answer = await request.fetch()
        self._messages.extend(answer.get("errors", []) or answer["messages"])
        self.id = answer.get("position", self.id)
        if not self._messages and not wait:  # a socket would receive an empty list of changes
            offset = int(str(since).rpartition(".")[2])
            nothing = {
                "type": "changes",
                "topic": self._topic,
                "after": offset,
                "position": since,
                "changes": [],
            }
            self._messages.append(nothing)

    async def close(self) -> None:
        pass


def make(name: str, connect, application, session: str | None = None):
    """Return a client of the named transport, with a browser session if one is given."""
    if name in ("json", "msgpack"):
        return SocketTransport(connect, name, session)
    headers = (
        {}
        if session is None
        else {"cookie": f"{settings.SESSION_COOKIE_NAME}={session}", "sec-fetch-site": "same-origin"}
    )
    return {"sse": EventTransport, "poll": PollTransport}[name](application, headers)
