"""Server-Sent Events: ``GET /realtime/sse/?topic=…&topic=…``, the messages of a WebSocket one way.

An event's ``id`` is the positions of the topics in the order of the address, so ``Last-Event-ID`` resumes.
"""

import logging
from typing import Any

from ..access.limits import address_of
from ..conf import get_conf
from ..engine.codes import Code
from ..engine.messages import Encoded, Error, Subscribe
from ..engine.session import Ending, Session
from ..runtime.client_log import client_of
from ..runtime.refusals import Refused
from ..servers.backpressure import buffered, is_daphne
from ..service import get_service
from . import http as requests
from .connection import Connection

RETRY_MILLISECONDS = 2000
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store, no-transform"),  # a proxy that compressed it would hold it back
    (b"x-accel-buffering", b"no"),  # nginx would collect events before it hands them on
    *requests.SECURITY_HEADERS,
]


async def stream(scope: dict[str, Any], receive, send) -> None:
    """Send what the topics have and will have, until the client leaves."""
    waiting_send = buffered(send) if is_daphne() else send
    send = waiting_send or send
    try:
        requests.enter(scope, "GET")
        parameters = requests.query(scope)
        events = Events(_topics(parameters), send)
        forms = requests.forms(parameters, len(events.topics))
        since = requests.auth.header(scope, b"last-event-id") or parameters.get("since", [""])[-1]
        wanted = [
            Subscribe(topic, position, form.format)
            for topic, position, form in zip(events.topics, events.positions(since), forms, strict=True)
        ]
        service = get_service()
        with requests.refusing("stream"):
            visitor, place = await service.admit(scope)
        connection = Connection(
            service,
            visitor,
            address_of(scope),
            place,
            send=send,
            frame=events.frame,
            close=events.close,
            waits=waiting_send is not None,
        )
        try:
            service.hub.connect(connection)
            errors = [await connection.subscribe(message) for message in wanted]
            if all(errors):
                raise Refused([error for error in errors if error is not None])
            client = client_of(scope)
            connection.log(logging.INFO, "open by SSE from %s", client)
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            await send(_body(f"retry: {RETRY_MILLISECONDS}\n\n"))
            connection.open()
            await requests.until_gone(receive)
        finally:
            await connection.close("stream")
    except Refused as refused:
        await requests.refuse(scope, send, refused)


class Events:
    """How messages become events of one stream."""

    def __init__(self, topics: list[str], send) -> None:
        self.topics = topics
        self._send = send

    def positions(self, id: str) -> list[str | None]:
        """Return the position of each topic that an event's id names.

        Raises: Refused, when it is of another stream.
        """
        if not id:
            return [None] * len(self.topics)
        positions = id.split(",")
        if len(positions) != len(self.topics):
            words = (
                f"{len(positions)} positions for {len(self.topics)} topics: name one for each, in their order"
            )
            raise Refused([Error(Code.BAD_MESSAGE, words)])
        return [position or None for position in positions]

    def frame(self, session: Session, message: Encoded) -> dict[str, Any]:
        """Return a message as an event. Part of a snapshot has no id: a client that has but that has nothing."""
        kind = ": heartbeat\nevent: heartbeat\n" if session.is_beating else ""
        id = ""
        positions = session.positions(self.topics) if session.is_whole else []
        if any(positions):
            id = f"id: {','.join('' if position is None else str(position) for position in positions)}\n"
        return _body(f"{kind}{id}data: {message!s}\n\n")

    async def close(self, ending: Ending) -> None:
        await self._send({"type": "http.response.body", "body": b""})


def _body(text: str) -> dict[str, Any]:
    return {"type": "http.response.body", "body": text.encode(), "more_body": True}


def _topics(parameters: dict[str, list[str]]) -> list[str]:
    """Return the topics asked for, each once.

    Raises: Refused.
    """
    topics = list(dict.fromkeys(parameters.get("topic", [])))
    limit = get_conf().max_subscriptions
    if not topics:
        raise Refused([Error(Code.BAD_MESSAGE, "name what to follow: ?topic=boards&topic=entries.1")])
    if len(topics) > limit:
        raise Refused([Error(Code.TOO_MUCH, f"a stream may follow {limit} topics, not {len(topics)}")])
    return topics
