"""Limits for request bodies: for each one, for those of one address, and for all that this process is receiving."""

from collections import Counter

from ..conf import get_conf
from ..engine.codes import Code
from ..engine.messages import Error
from ..runtime.refusals import Refused

AT_ONCE = 16
"""How many bodies of the maximum length may arrive at the same time."""


class RequestBodies:
    """All request bodies of this process; ``received_bytes`` is their size together."""

    def __init__(self) -> None:
        self.received_bytes = 0
        self._of_address: Counter[str] = Counter()

    def add(self, size: int, address: str | None) -> None:
        """Add the bytes of a body, or with a negative size remove them."""
        self.received_bytes += size
        if address is not None:
            self._of_address[address] += size
            if not self._of_address[address]:
                del self._of_address[address]

    def has_room(self, size: int, address: str | None) -> bool:
        """Return whether so many more bytes may be received from an address.

        An address may have half of what all bodies together leave free, so that there is room for a further address
        even if many use their whole share.
        """
        free = AT_ONCE * get_conf().max_request_bytes - self.received_bytes - size
        return free >= 0 and (address is None or 2 * (self._of_address[address] + size) <= free)


class Body:
    """The body of one request, counted as it arrives; ``address`` is its client's, None if unknown."""

    def __init__(self, bodies: RequestBodies, address: str | None = None) -> None:
        self._bodies, self._address = bodies, address
        self._bytes = 0

    @property
    def is_empty(self) -> bool:
        return self._bytes == 0

    def count(self, size: int) -> None:
        """Count received bytes.

        Raises: Refused, if they are too many; then they are not to be kept.
        """
        limit = get_conf().max_request_bytes
        if self._bytes + size > limit:
            raise Refused([Error(Code.BAD_MESSAGE, f"a request may be {limit} bytes long")], 413)
        if not self._bodies.has_room(size, self._address):
            raise Refused([Error(Code.TOO_MUCH, "too many long requests at once; try again later")], 503)
        self._bytes += size
        self._bodies.add(size, self._address)

    def release(self) -> None:
        """Give back the bytes of this body: the request has ended. Safe to call twice."""
        self._bodies.add(-self._bytes, self._address)
        self._bytes = 0
