"""Checks of the live database's settings: transactions, driver, pool. They query no database."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from django.core.checks import CheckMessage, Error, Warning
from django.db import connections

from ..conf import Conf
from ..service import ASSET_THREADS
from .conf import conf_or_defaults

POOL_SIZE = 4  # the default of psycopg_pool
# The publisher, its housekeeping, two jobs, health, the check of passwords, interest; files and metrics.
ENGINE_CONNECTIONS = 7 + ASSET_THREADS


def check_database(**kwargs: Any) -> list[CheckMessage]:
    """Check the settings of the live database, without a query."""
    found: list[CheckMessage] = []
    connection = connections[conf_or_defaults().database]
    if connection.settings_dict.get("ATOMIC_REQUESTS"):
        found.append(
            Warning(
                "ATOMIC_REQUESTS is on: each page is rendered inside a transaction. On SQLite that blocks all "
                "writers; on PostgreSQL the page has no exact position and receives a snapshot when it connects.",
                hint="Turn it off, and use transaction.atomic in views that write; or decorate the views of live pages "
                "with transaction.non_atomic_requests, and silence this check.",
                id="realtime.W008",
            )
        )
    if connection.vendor == "postgresql" and not is_psycopg3():
        found.append(
            Error(
                "The driver of PostgreSQL is psycopg2, and the engine needs psycopg 3.",
                hint="pip install 'psycopg[binary]' and uninstall psycopg2; Django uses the newer one if it is there.",
                id="realtime.E004",
            )
        )
    found += _of_pool(connection.settings_dict["OPTIONS"].get("pool"))
    mode = connection.settings_dict["OPTIONS"].get("transaction_mode") or "DEFERRED"
    if connection.vendor == "sqlite" and mode.upper() == "DEFERRED":
        found.append(
            Warning(
                "SQLite transactions are deferred: one that reads and then writes fails immediately, whatever "
                "the timeout, if another process has written in between.",
                hint="Set DATABASES[…]['OPTIONS']['transaction_mode'] = 'IMMEDIATE'.",
                id="realtime.W009",
            )
        )
    return found


def _of_pool(pool: Any) -> Iterator[CheckMessage]:
    """Yield an error if a pool has fewer connections than this process has threads that keep one."""
    if not pool:
        return
    options = pool if isinstance(pool, dict) else {}
    size = options.get("max_size") or options.get("min_size", POOL_SIZE)  # as psycopg_pool reads them
    conf = conf_or_defaults()
    threads = sum(getattr(conf, field.name) for field in fields(Conf) if field.name.endswith("_threads"))
    needed = threads + ENGINE_CONNECTIONS
    if size < needed:
        yield Error(
            f"The pool of database connections has {size} of them, but each server process needs at least {needed}: "
            "one for each of its threads.",
            hint=f"Set OPTIONS['pool'] = {{'max_size': {needed}}}, or no pool.",
            id="realtime.E005",
        )


def is_psycopg3() -> bool:
    """Return whether Django uses psycopg 3; call it only where it uses PostgreSQL."""
    from django.db.backends.postgresql import psycopg_any

    return bool(psycopg_any.is_psycopg3)
