"""What ends a follower: a refusal that trying again does not change."""

from http import HTTPStatus

from ..engine.codes import Code
from ..engine.errors import RealtimeError

ADVICE: dict[int, str] = {
    Code.BAD_MESSAGE: "the server does not understand this client: install the version that the server has",
    Code.SIGNED_OUT: "sign in again: pass new cookies, or a function that returns new tickets",
    Code.FORBIDDEN: "sign in as a user who may read the topic, see can_subscribe of its feed",
    Code.NOT_FOUND: "check the name of the topic and the address: `manage.py realtime_watch` lists the topics",
}
"""What to do after a code; after another one of 4400 to 4499 it is what the code 4400 says."""
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


def is_final(code: int) -> bool:
    """Return whether a client must not just try again after a close code or the code of an error."""
    return 4400 <= code <= 4499
