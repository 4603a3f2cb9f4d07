"""Open files: connections of clients and of the database are such, so their limit bounds the number of clients."""

import logging
import sys
from collections.abc import Hashable

from ..conf import get_conf
from .deadlines import Deadlines, deadlines

logger = logging.getLogger("realtime.service")

UNLIMITED = 2**31
RESERVED = 256
"""Files besides connections: those of the database (three for each of some thirty threads), layer, static files,
log."""


if sys.platform == "win32":

    def limits() -> tuple[int, int]:
        """Return how many files this process may open, and to how many that can be raised."""
        return UNLIMITED, UNLIMITED

    def raise_to(files: int) -> None:
        """Do nothing: there is no such limit."""

else:
    import resource

    def limits() -> tuple[int, int]:
        """Return how many files this process may open, and to how many that can be raised."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        return _counted(soft), _counted(hard)

    def raise_to(files: int) -> None:
        """Raise the limit, within what the system allows."""
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (files if files < UNLIMITED else hard, hard))

    def _counted(limit: int) -> int:
        return UNLIMITED if limit == resource.RLIM_INFINITY else limit


def raise_limit() -> None:
    """Raise the limit of this process as far as the system allows; log it if that is too little for the settings."""
    soft, hard = limits()
    if soft < hard:
        raise_to(hard)
    if files_needed() > hard:
        logger.warning(
            "%d open files are allowed and MAX_CONNECTIONS needs %d: no more than %d connections are accepted; "
            "raise the limit (LimitNOFILE, ulimit -n)",
            hard, files_needed(), max_places(),
        )  # fmt: skip


def files_needed() -> int:
    """Return how many open files ``MAX_CONNECTIONS`` needs, with an eighth for requests and handshakes."""
    return RESERVED + get_conf().max_connections * 8 // 7 + 1


def max_connections() -> int:
    """Return how many connections of any kind this process can have open."""
    allowed, _ = limits()
    return max(allowed - RESERVED, allowed // 2)


def max_places() -> int:
    """Return how many of them may be WebSockets, streams and polls: the rest is for pages and handshakes."""
    return min(get_conf().max_connections, max_connections() * 7 // 8)


class OpenConnections:
    """The connections of this process, whether or not they have sent a request."""

    def __init__(self, waiting: Deadlines) -> None:
        self._waiting = waiting
        self._open: set[Hashable] = set()

    def add(self, connection: Hashable) -> bool:
        """Count a connection; return whether there is room for it, if need be after dropping one without a request."""
        self._open.add(connection)
        return len(self._open) <= max_connections() or self._waiting.make_room()

    def discard(self, connection: Hashable) -> None:
        self._open.discard(connection)


open_connections = OpenConnections(deadlines)
"""The connections of this process; the service does not hold them, for the reason stated at ``deadlines``."""
