"""The codes of refused messages and closed connections: one table with meaning and advice.

The range decides: after a code of 4400 to 4499 a client must not simply retry, after any other code it reconnects.
docs/protocol.md prints the table; static/realtime/protocol/codes.js is its counterpart in the browser.
"""

from enum import IntEnum, StrEnum


class Advice(StrEnum):
    """What a client does after a code."""

    STOP = "stops, shows the reason"
    CHECK_PAGE = "checks the page over HTTP once"
    RECONNECT = "reconnects with backoff, resumes"
    RECONNECT_LATER = "reconnects after the announced delay"


class Code(IntEnum):
    """Why a message was refused or a connection closed."""

    meaning: str
    advice: Advice

    def __new__(cls, value: int, meaning: str, advice: Advice) -> "Code":
        code = int.__new__(cls, value)
        code._value_ = value
        code.meaning, code.advice = meaning, advice
        return code

    BAD_MESSAGE = 4400, "bad message", Advice.STOP
    SIGNED_OUT = 4401, "signed out", Advice.CHECK_PAGE
    FORBIDDEN = 4403, "forbidden", Advice.STOP
    NOT_FOUND = 4404, "no such topic, action or address", Advice.STOP
    INTERNAL = 4500, "internal error", Advice.RECONNECT
    TOO_SLOW = 4508, "too slow: the connection did not read what it was sent", Advice.RECONNECT
    CLOSED = 4510, "closed by an operator", Advice.RECONNECT_LATER
    DRAINING = 4512, "draining: this server is stopping", Advice.RECONNECT_LATER
    TOO_MUCH = 4529, "too much: over a limit", Advice.RECONNECT_LATER
