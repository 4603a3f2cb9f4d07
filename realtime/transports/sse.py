"""Server-Sent Events: ``GET /realtime/sse/?topic=…&topic=…``, the messages of a WebSocket, one way.

An event's ``id`` is the positions of the topics in the order of the address, so ``Last-Event-ID`` resumes.
"""

import asyncio

from ..access.handshake import Handshake
from ..conf import get_conf
from ..engine.messages import Encoded
from ..engine.session import Ending, Session
from ..runtime.asgi_types import Event, Receive, Send
from ..runtime.client_log import ClientLog
from ..runtime.refusals import Refused
from ..servers.backpressure import sends_wait
from ..service import get_service
from . import http, parameters
from .connection import Connection

RETRY_MILLISECONDS = 2000
_HEADERS: http.Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store, no-transform"),  # a proxy that compresses would delay events
    (b"x-accel-buffering", b"no"),  # nginx would collect events before it passes them on
    *http.SECURITY_HEADERS,
]


@http.endpoint("GET")
async def stream(handshake: Handshake, receive: Receive, send: Send) -> None:
    """Send the topics' rows or missed changes, and then their changes until the client leaves."""
    service = get_service()
    with http.refusing("stream", ClientLog(handshake.client)):
        subscriptions = parameters.subscriptions(
            handshake.parameters, get_conf().max_subscriptions, handshake.header("last-event-id") or ""
        )
        visitor, place = await service.admit(handshake)
    events = Events([subscription.topic for subscription in subscriptions], send)
    connection = Connection(
        service,
        handshake,
        visitor,
        place,
        send=send,
        frame=events.frame,
        close=events.close,
        waits=sends_wait(),
    )
    left = asyncio.create_task(http.until_left(receive))
    try:
        service.hub.connect(connection)
        refusals = []
        for message in subscriptions:
            if refusal := await connection.subscribe(message):
                refusals.append(refusal)
            if left.done():
                return
        if len(refusals) == len(subscriptions):
            errors = [error for refusal in refusals for error in refusal.errors]
            is_logged = all(refusal.is_logged for refusal in refusals)
            raise Refused(errors, refusals[0].status, is_logged)
        connection.log.info("open by SSE from %s", handshake.client)
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await send(_body(f"retry: {RETRY_MILLISECONDS}\n\n"))
        connection.open()
        await left
    finally:
        left.cancel()
        await connection.close("stream")


class Events:
    """The events of one stream, made of the messages of its connection."""

    def __init__(self, topics: list[str], send: Send) -> None:
        self._topics = topics
        self._send = send

    def frame(self, session: Session, message: Encoded) -> Event:
        """Return a message as an event. An unfinished snapshot has no id: a client could not resume from it."""
        kind = ": heartbeat\nevent: heartbeat\n" if session.is_beating else ""
        id = ""
        positions = session.positions(self._topics) if session.is_whole else []
        if any(positions):
            id = f"id: {','.join('' if position is None else str(position) for position in positions)}\n"
        return _body(f"{kind}{id}data: {message!s}\n\n")

    async def close(self, ending: Ending) -> None:
        await self._send({"type": "http.response.body", "body": b""})


def _body(text: str) -> Event:
    return {"type": "http.response.body", "body": text.encode(), "more_body": True}
