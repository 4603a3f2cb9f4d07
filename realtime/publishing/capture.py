"""Capture: the triggers that note every change of a live table in the outbox, whoever makes it."""

import logging
from collections.abc import Iterable

from django.core.exceptions import ImproperlyConfigured
from django.db import connections, models, transaction

from ..databases import postgresql_triggers as postgresql
from ..databases import sqlite_triggers as sqlite
from ..databases.captures import Capture
from ..feeds import Feed, registry
from ..models import OutboxRow

__all__ = ["Capture", "captures", "install", "missing", "uninstall"]

logger = logging.getLogger("realtime.capture")

_BACKENDS = {"sqlite": sqlite, "postgresql": postgresql}


def captures(feeds: Iterable[Feed]) -> list[Capture]:
    """Return what the feeds need captured, one capture per table."""
    columns: dict[type[models.Model], dict[str, None]] = {}
    for feed in feeds:
        for model, fields in feed.sources.items():
            columns.setdefault(model, {}).update(dict.fromkeys(field.column for field in fields))
    return [Capture(model._meta.db_table, tuple(noted), _unique(model)) for model, noted in columns.items()]


def _unique(model: type[models.Model]) -> tuple[tuple[str, ...], ...]:
    groups = [[field.name] for field in model._meta.local_fields if field.unique]
    groups += [list(names) for names in model._meta.unique_together]
    # One with a condition too: it notes a row too many where the condition does not hold.
    groups += [
        list(found.fields) for found in model._meta.constraints if isinstance(found, models.UniqueConstraint)
    ]
    return tuple(tuple(model._meta.get_field(name).column for name in names) for names in groups if names)


def backend(using: str):
    """Return the module that knows the database's triggers."""
    vendor = connections[using].vendor
    if vendor not in _BACKENDS:
        raise ImproperlyConfigured(
            f"realtime cannot capture changes on {vendor}; use one of: {', '.join(sorted(_BACKENDS))}"
        )
    return _BACKENDS[vendor]


def missing(using: str = "default") -> list[Capture]:
    """Return the captures that lack a trigger or have an old one.

    Tables that are not there, or not yet, or no longer, as the feeds know them do not count: a trigger
    that names a column they lack would fail every write.
    """
    connection, module = connections[using], backend(using)
    present = module.installed(connection)
    return [
        capture
        for capture in standing(using)
        if any(present.get(name) != capture.table for name in module.triggers(capture, connection))
    ]


def standing(using: str = "default") -> list[Capture]:
    """Return the captures whose tables have all the columns they note; none before there is an outbox."""
    connection = connections[using]
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        if OutboxRow._meta.db_table not in tables:
            return []
        return [
            capture
            for capture in captures(registry)
            if capture.table in tables and capture.noted <= _columns(connection, cursor, capture.table)
        ]


def _columns(connection, cursor, table: str) -> set[str]:
    return {column.name for column in connection.introspection.get_table_description(cursor, table)}


def install(using: str = "default") -> list[Capture]:
    """Make the triggers what the feeds ask for; return the captures that were not.

    Each of these gets a reset in the outbox: what happened while its triggers were away is found by
    reading the table anew. Triggers of tables that are no longer live are dropped. One transaction for
    each table, so that no two tables are locked at once.
    """
    connection, module = connections[using], backend(using)
    _drop_obsolete(connection, module)
    absent = missing(using)
    for capture in absent:
        with transaction.atomic(using=using):
            module.begin_change(connection)
            if capture not in missing(using):
                continue  # another process was quicker
            for name, statement in module.triggers(capture, connection).items():
                module.drop(connection, name, capture.table)
                with connection.cursor() as cursor:
                    cursor.execute(statement, [])
            OutboxRow.objects.using(using).create(source=capture.table, image=None)
        logger.info("capture installed on %s", capture.table)
    return absent


def _drop_obsolete(connection, module) -> None:
    wanted = {name for capture in standing(connection.alias) for name in module.triggers(capture, connection)}
    for name, table in module.installed(connection).items():
        if name not in wanted:
            with transaction.atomic(using=connection.alias):
                module.begin_change(connection)
                module.drop(connection, name, table)


def uninstall(tables: Iterable[str] | None = None, using: str = "default") -> None:
    """Drop the triggers of the tables, of all when None."""
    connection, module = connections[using], backend(using)
    kept = None if tables is None else set(tables)
    for name, table in module.installed(connection).items():
        if kept is None or table in kept:
            with transaction.atomic(using=using):
                module.begin_change(connection)
                module.drop(connection, name, table)
