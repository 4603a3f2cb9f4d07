"""The engine's database, as an object with the vendor's SQL."""

from collections.abc import Callable
from functools import cache
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field

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


def prepared(field: "Field[Any, Any]", value: Any) -> Any:
    """Return a value as a field stores it; needs no connection and no thread of its own.

    Raises: ValidationError and what fields raise.
    """
    alias = get_conf().database
    return field.get_db_prep_value(value, _unconnected(alias, connections.databases[alias]["ENGINE"]))


@cache
def _unconnected(alias: str, engine: str) -> BaseDatabaseWrapper:
    """Return an object with the SQL and settings of the database, one of this engine, that never connects to it.

    ``connections`` makes one for each task of an event loop, and the task keeps it: 3.5 KiB for each WebSocket.
    """
    return connections.create_connection(alias)


def on(connection: BaseDatabaseWrapper) -> Database:
    """Return the database of a connection.

    Raises: ImproperlyConfigured.
    """
    if connection.vendor not in _VENDORS:
        raise ImproperlyConfigured(
            f"realtime does not work on {connection.vendor}; use one of: {', '.join(sorted(_VENDORS))}"
        )
    return _VENDORS[connection.vendor](connection)
