"""Capture: the triggers that record every change of a live table in the outbox, by any writer."""

import logging
from collections.abc import Iterable
from typing import Any

from django.db import models

from ..databases.base import Database
from ..databases.captures import Capture
from ..databases.registry import database
from ..databases.transactions import engine_transaction
from ..feeds import Feed, registry
from ..models import OutboxRow

logger = logging.getLogger("realtime.capture")


def captures(feeds: Iterable[Feed]) -> list[Capture]:
    """Return what the feeds need captured, one capture per table."""
    recorded: dict[type[models.Model], dict[str, None]] = {}
    for feed in feeds:
        for model, fields in feed.sources.items():
            recorded.setdefault(model, {}).update(dict.fromkeys(_columns(fields)))
    return [
        Capture(model._meta.db_table, tuple(columns), _unique(model)) for model, columns in recorded.items()
    ]


def _columns(fields: Iterable["models.Field[Any, Any]"]) -> tuple[str, ...]:
    return tuple(field.column for field in fields if field.column is not None)


def _unique(model: type[models.Model]) -> tuple[tuple[str, ...], ...]:
    groups = [[field.name] for field in model._meta.local_fields if field.unique]
    groups += [list(names) for names in model._meta.unique_together]
    # Conditional ones too: they record an unchanged row where the condition does not hold, which is harmless.
    groups += [
        list(constraint.fields)
        for constraint in model._meta.constraints
        if isinstance(constraint, models.UniqueConstraint)
    ]
    fields = {field.name: field for field in model._meta.concrete_fields}
    return tuple(_columns(fields[name] for name in names) for names in groups if names)


def missing() -> list[Capture]:
    """Return the captures that lack a trigger or have an outdated one.

    Captures whose table or columns do not exist, because a migration has not run or was reverted, are not
    included: a trigger that names a missing column would make every write fail.
    """
    here = database()
    present = here.triggers.installed()
    return [
        capture
        for capture in possible(here)
        if any(present.get(name) != capture.table for name in here.triggers.statements(capture))
    ]


def possible(here: Database) -> list[Capture]:
    """Return the captures whose tables have all the columns they name; none before the outbox exists."""
    inspect = here.connection.introspection
    with here.connection.cursor() as cursor:
        tables = set(inspect.table_names(cursor))
        if OutboxRow._meta.db_table not in tables:
            return []
        return [
            capture
            for capture in captures(registry)
            if capture.table in tables
            and capture.named_columns
            <= {column.name for column in inspect.get_table_description(cursor, capture.table)}
        ]


def install() -> list[Capture]:
    """Make the triggers match the feeds; return the captures that did not.

    For each of these a reset is written to the outbox: changes made while its triggers were missing are
    found by reading the table again. Triggers of tables that are no longer live are dropped. Each table
    has its own transaction, so that no two tables are locked at once.
    """
    here = database()
    _drop_obsolete(here)
    absent = missing()
    for capture in absent:
        with engine_transaction():
            here.triggers.begin_change()
            if capture not in missing():
                continue  # another process has installed them meanwhile
            for name, statement in here.triggers.statements(capture).items():
                here.triggers.drop(name, capture.table)
                with here.connection.cursor() as cursor:
                    cursor.execute(statement, [])
            OutboxRow.objects.create(source=capture.table, image=None)
        logger.info("capture installed on %s", capture.table)
    return absent


def _drop_obsolete(here: Database) -> None:
    wanted = {name for capture in possible(here) for name in here.triggers.statements(capture)}
    for name, table in here.triggers.installed().items():
        if name not in wanted:
            _drop(here, name, table)


def uninstall(tables: Iterable[str] | None = None) -> None:
    """Drop the triggers of the tables, of all tables when None."""
    here = database()
    chosen = None if tables is None else set(tables)
    for name, table in here.triggers.installed().items():
        if chosen is None or table in chosen:
            _drop(here, name, table)


def _drop(here: Database, name: str, table: str) -> None:
    with engine_transaction():
        here.triggers.begin_change()
        here.triggers.drop(name, table)
