"""Errors: final refusals, which end a subscription, and reasons for which a broadcast was not sent."""

from http import HTTPStatus

from ..engine.codes import Code
from ..engine.errors import RealtimeError

ADVICE: dict[int, str] = {
    Code.BAD_MESSAGE: "the server does not understand this client: install the version that the server has",
    Code.SIGNED_OUT: "sign in again: pass new cookies, or a function that returns new tickets",
    Code.FORBIDDEN: "sign in as a user who may read the topic, see can_subscribe of its feed",
    Code.NOT_FOUND: "check the name of the topic and the address: `manage.py realtime_watch` lists the topics",
}
"""The advice for a close code; other codes from 4400 to 4499 have the advice of 4400."""
WITHOUT_ORIGIN = (
    'the server accepts no program without an Origin: pass origin="https://…", the address of its pages, or set '
    "REALTIME['ALLOW_WITHOUT_ORIGIN'] there"
)


class Refused(RealtimeError):
    """The server refuses the topic or the connection, and asking again would not help.

    ``code`` is the protocol's, of 4400 to 4499, or the status of an HTTP answer that the handshake was given.
    """

    code: int  # type: ignore[assignment]  # also of a newer server, and statuses of HTTP

    def __init__(self, code: int, reason: str, topic: str) -> None:
        super().__init__(code, reason, topic)
        self.code, self.reason, self.topic = int(code), reason, topic

    def __str__(self) -> str:
        code = self.code + 4000 if self.code < 1000 else self.code
        advice = WITHOUT_ORIGIN if self.code == HTTPStatus.FORBIDDEN else ADVICE.get(code, ADVICE[4400])
        return f"{self.topic[:100]!r} is refused ({self.code}, {self.reason or 'no reason given'}); {advice}"


NO_ANSWER = 1006
"""The code of a broadcast that the server has not answered, of whatever cause; WebSockets that are lost have it."""
BROADCAST_ADVICE: dict[int, str] = {
    NO_ANSWER: "it may or may not have been sent on; send it again if that does no harm",
    Code.BAD_MESSAGE: "use an event of 1 to 64 characters, and as payload JSON values or bytes",
    Code.FORBIDDEN: "sign in as a user whom can_broadcast of the topic's feed allows it",
    Code.TOO_MUCH: "wait before the next one, see BROADCASTS_PER_SECOND of the server's settings",
}


class NotSent(RealtimeError):
    """A broadcast was not sent on; the subscription continues.

    ``code`` is the protocol's, or 1006 if the server has not answered.
    """

    code: int  # type: ignore[assignment]  # also of a newer server

    def __init__(self, event: str, topic: str, code: int, reason: str) -> None:
        super().__init__(event, topic, code, reason)
        self.event, self.topic, self.code, self.reason = event, topic, int(code), reason

    def __str__(self) -> str:
        advice = BROADCAST_ADVICE.get(self.code, "send it again later")
        return f"{self.event[:100]!r} to {self.topic[:100]!r}: {self.reason} ({self.code}); {advice}"


def is_final(code: int) -> bool:
    """Return whether a client must not just try again after a close code or the code of an error."""
    return 4400 <= code <= 4499
