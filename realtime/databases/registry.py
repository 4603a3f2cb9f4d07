"""The engine's database, as an object with the vendor's SQL."""

from collections.abc import Callable

from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from ..conf import get_conf
from .base import Database
from .postgresql.database import PostgreSQL
from .sqlite.database import SQLite

_VENDORS: dict[str, Callable[[BaseDatabaseWrapper], Database]] = {"sqlite": SQLite, "postgresql": PostgreSQL}


def database() -> Database:
    """Return the database that holds the live models and the log, on this thread's connection.

    Raises: ImproperlyConfigured.
    """
    return on(connections[get_conf().database])


def on(connection: BaseDatabaseWrapper) -> Database:
    """Return the database of a connection.

    Raises: ImproperlyConfigured.
    """
    if connection.vendor not in _VENDORS:
        raise ImproperlyConfigured(
            f"realtime does not work on {connection.vendor}; use one of: {', '.join(sorted(_VENDORS))}"
        )
    return _VENDORS[connection.vendor](connection)
