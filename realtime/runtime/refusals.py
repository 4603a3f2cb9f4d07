"""The refusal of an HTTP request: raised in servers and transports, answered by ``transports/http.py``."""

from collections.abc import Sequence

from ..engine.errors import RealtimeError
from ..engine.messages import Error
from .outages import is_outage


class Refused(RealtimeError):
    """A request that is refused; ``errors`` are its answer."""

    def __init__(self, errors: Sequence[Error], status: int | None = None, is_logged: bool = False) -> None:
        """``is_logged``: whether the log has the failure behind it already."""
        super().__init__(errors, status)
        self.errors, self.is_logged = errors, is_logged
        self.status = status or status_of(errors[0].code)

    def __str__(self) -> str:
        return "; ".join(error.message for error in self.errors)


def status_of(code: int) -> int:
    """Return the HTTP status for a close code: its last three digits, except where HTTP has another number."""
    return {4529: 429, 4512: 503, 4508: 503}.get(code, code - 4000)


def status_during(error: Exception) -> int | None:
    """Return 503 for an error of an outage; None for another one, which has the status of its code."""
    return 503 if is_outage(error) else None
