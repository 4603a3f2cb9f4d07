"""The check of the tables of feeds, by queries: whether they have triggers, and can be read."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connections

from ..conf import get_conf
from ..databases.registry import database
from ..databases.remedies import remedy
from ..databases.transactions import engine_transaction
from ..feeds import registry
from ..publishing import capture
from ..runtime.left_out import reason_of


def check_capture(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report live tables without triggers, and tables that cannot be read, by queries: for ``check --database``."""
    try:
        using = get_conf().database
    except ImproperlyConfigured:
        return []  # reported by check_conf
    if using not in (databases or []):
        return []
    return [
        *_without_tables(using),
        *_untriggered(),
        *_unreadable(),
    ]


def _untriggered() -> list[CheckMessage]:
    refusal = database().triggers.refusal
    return [
        Warning(
            f"Changes of the table {missing.table} are not captured: a trigger is missing or out of date.",
            hint=_sentence(refusal(missing.table))
            or "Run `manage.py migrate`, or start a server; both install triggers.",
            id="realtime.W001",
        )
        for missing in capture.missing()
    ]


def _unreadable() -> Iterator[CheckMessage]:
    """Find live tables that the role may not read."""
    for found in capture.possible(database()):
        try:
            with engine_transaction() as here, here.connection.cursor() as cursor:
                cursor.execute(f"SELECT 1 FROM {here.connection.ops.quote_name(found.table)} WHERE 1 = 0")
        except DatabaseError as error:
            yield Warning(
                f"Rows of the table {found.table} cannot be read: {reason_of(error)}",
                hint=_sentence(remedy(error)) or "See the log of the database.",
                id="realtime.W016",
            )


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}." if words else ""


def _without_tables(using: str) -> list[CheckMessage]:
    """Find live models over a view, or over a missing table that no migration creates."""
    connection = connections[using]
    with connection.cursor() as cursor:
        kinds = {table.name: table.type for table in connection.introspection.get_table_list(cursor)}
    found: list[CheckMessage] = []
    for feed in registry:
        for model in feed.sources:
            meta = model._meta
            kind = kinds.get(meta.db_table)
            if kind == "v" or (kind is None and not meta.managed):
                what = "a view" if kind == "v" else "not in the database"
                found.append(
                    Error(
                        f"The feed {feed.name!r} cannot be live: {meta.db_table} is {what}, and no trigger can "
                        "note its changes.",
                        hint="Register a feed for the model of the table behind it, with depends_on for related ones.",
                        id="realtime.E006",
                    )
                )
    return found
