"""Limits for request bodies: for the bytes of each one, and for all that this process is receiving."""

from ..conf import get_conf
from ..engine.codes import Code
from ..engine.messages import Error
from ..runtime.refusals import Refused

AT_ONCE = 16
"""This many bodies of the maximum length may be under way together."""


class RequestBodies:
    """All request bodies of this process; ``received_bytes`` is their size together."""

    def __init__(self) -> None:
        self.received_bytes = 0


class Body:
    """The body of one request, counted as it arrives."""

    def __init__(self, bodies: RequestBodies) -> None:
        self._bodies = bodies
        self._bytes = 0

    @property
    def is_empty(self) -> bool:
        return self._bytes == 0

    def count(self, size: int) -> None:
        """Count received bytes.

        Raises: Refused, when they are too many.
        """
        limit = get_conf().max_request_bytes
        self._bytes += size
        self._bodies.received_bytes += size
        if self._bytes > limit:
            raise Refused([Error(Code.BAD_MESSAGE, f"a request may be {limit} bytes long")], 413)
        if self._bodies.received_bytes > AT_ONCE * limit:
            raise Refused([Error(Code.TOO_MUCH, "too many long requests at once; try again later")], 503)

    def release(self) -> None:
        """Give back the bytes of this body: the request has ended. Safe to call twice."""
        self._bodies.received_bytes -= self._bytes
        self._bytes = 0
