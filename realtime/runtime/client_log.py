"""Log lines about one client: each record is one line, whatever the client sends."""

import logging
from collections.abc import Iterable
from typing import Any

from django.db import Error as DatabaseError

from .outages import is_outage

logger = logging.getLogger("realtime.connection")

SERVER_FAILED = "the server could not do this now; try again"
"""The message that a client is sent if the server has failed."""


class ClientLog(logging.LoggerAdapter[logging.Logger]):
    """Log lines about one client, each beginning with the name of its connection.

    A request without a connection is named by its client. Values are escaped, so that none can break or forge a line.
    """

    def __init__(self, client: str, connection: str | None = None) -> None:
        super().__init__(logger, None)
        self.client, self.connection = client, connection

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log one line. The name is a value of it: ``log_filters`` counts the lines with the same ``msg``."""
        if self.isEnabledFor(level):
            name = self.connection or self.client
            self.logger.log(level, f"%s {msg}", *map(one_line, (name, *args)), **kwargs)

    def failure(self, what: str, error: Exception) -> None:
        """Log a failure of the server; with a traceback, unless it is an outage or an error of the database."""
        trace = None if is_outage(error) or isinstance(error, DatabaseError) else error
        self.error("%s failed: %s: %s", what, type(error).__name__, error, exc_info=trace)


def client_name(peer: Iterable[object] | None) -> str:
    """Return the name of a client without a connection: the host and port of its socket; "?" if they are unknown."""
    return ":".join(map(str, peer or ())) or "?"


def one_line(value: object) -> object:
    """Return a value as it can be logged: quoted and escaped if it has characters that could break or forge a line."""
    return value if isinstance(value, int | float) or str(value).isprintable() else ascii(str(value))
