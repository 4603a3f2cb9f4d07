"""Outages: failures that the code has not caused, and that pass, so that a client may ask again."""

import sqlite3

from django.db import Error as DatabaseError
from django.db import OperationalError

from ..databases.remedies import MIGRATE, remedy
from ..engine.errors import Unreadable
from .threads import Stopping


def is_outage(error: BaseException | None) -> bool:
    """Return whether an error is one of an outage: HTTP answers it with 503, and its traceback would add nothing.

    A time limit is over, the database is away or refuses to work, a topic cannot be read at present, or the process
    stops.
    """
    if isinstance(error, TimeoutError | Stopping | Unreadable):
        return True
    if not isinstance(error, DatabaseError):
        return False
    if cure := remedy(error):
        return cure != MIGRATE  # a missing column may be a mistake in a query
    return isinstance(error, OperationalError) and not _is_mistake(error)


def _is_mistake(error: OperationalError) -> bool:
    """Return whether a statement is wrong: SQLite reports that in the same class as a file that it cannot read."""
    code = getattr(error.__cause__, "sqlite_errorcode", None)
    return code is not None and code & 0xFF == sqlite3.SQLITE_ERROR
