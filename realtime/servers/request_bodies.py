"""How much of requests' bodies may come in: of each, and of all that are on their way in this process."""

from ..conf import get_conf
from ..engine.codes import Code
from ..engine.messages import Error
from ..runtime.refusals import Refused

AT_ONCE = 16
"""As many of the longest may be on their way together."""


class Body:
    """The body of one request, counted as it comes."""

    _of_all = 0

    def __init__(self) -> None:
        self._bytes = 0

    @property
    def has_any(self) -> bool:
        return self._bytes > 0

    def take(self, size: int) -> None:
        """Count bytes in.

        Raises: Refused, when they are too many.
        """
        limit = get_conf().max_request_bytes
        self._bytes += size
        Body._of_all += size
        if self._bytes > limit:
            raise Refused([Error(Code.BAD_MESSAGE, f"a request may be {limit} bytes long")], 413)
        if Body._of_all > AT_ONCE * limit:
            raise Refused([Error(Code.TOO_MUCH, "too many long requests at once; come back")], 503)

    def done(self) -> None:
        """The request has ended, and with it what its body took up."""
        Body._of_all -= self._bytes
        self._bytes = 0
