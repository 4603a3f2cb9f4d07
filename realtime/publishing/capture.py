"""Capture: the triggers that record every change of a live table in the outbox, by any writer."""

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.db import Error as DatabaseError
from django.db import models
from django.db.models.functions import Now

from ..databases.base import Database
from ..databases.captures import Capture, InstalledTrigger, TableState
from ..databases.registry import database
from ..databases.transactions import engine_transaction
from ..feeds import Feed, registry
from ..models import OutboxRow, TriggerClaim

logger = logging.getLogger("realtime.capture")

WAIT_SECONDS = 4.0
"""How long to wait for the lock of a table; other writers of the table wait behind that request."""
CLAIM_TIME = timedelta(minutes=10)
"""How long a trigger that no running release claims is kept."""

Needed = Mapping[Capture, Collection[str]]
"""Captures, and the names of the triggers of each. The database is asked for the names: several queries a capture."""

_failures: dict[str, str] = {}
"""The tables on which this process last failed to install triggers, with the reason of each."""
_logged: dict[str, str] = {}


def captures(feeds: Iterable[Feed]) -> list[Capture]:
    """Return the captures that the feeds need, one for each table."""
    recorded: dict[type[models.Model], dict[str, None]] = {}
    for feed in feeds:
        for model, fields in feed.captured.items():
            recorded.setdefault(model, {}).update(dict.fromkeys(_columns(fields)))
    return [
        Capture(model._meta.db_table, tuple(columns), _unique(model)) for model, columns in recorded.items()
    ]


def _columns(fields: Iterable["models.Field[Any, Any]"]) -> tuple[str, ...]:
    return tuple(field.column for field in fields if field.column is not None)


def _unique(model: type[models.Model]) -> tuple[tuple[str, ...], ...]:
    groups = [[field.name] for field in model._meta.local_fields if field.unique]
    groups += [list(names) for names in model._meta.unique_together]
    # Without indexes that have a condition, which are read from the database.
    groups += [
        list(constraint.fields)
        for constraint in model._meta.constraints
        if isinstance(constraint, models.UniqueConstraint) and constraint.condition is None
    ]
    fields = {field.name: field for field in model._meta.concrete_fields}
    return tuple(_columns(fields[name] for name in names) for names in groups if names)


def missing() -> list[Capture]:
    """Return the captures that lack a trigger or have an outdated one.

    Captures whose table or columns do not exist, because a migration has not run or was reverted, are not
    included: a trigger that names a missing column would make every write fail.
    """
    here = database()
    return _missing(here, _needed(here))


def _missing(here: Database, needed: Needed) -> list[Capture]:
    present = {(trigger.name, trigger.table) for trigger in here.triggers.installed()}
    return [
        capture
        for capture, names in needed.items()
        if any((name, capture.table) not in present for name in names)
    ]


def _needed(here: Database, chosen: Collection[str] | None = None) -> Needed:
    return {capture: tuple(here.triggers.statements(capture)) for capture in possible(here, chosen)}


def possible(here: Database, chosen: Collection[str] | None = None) -> list[Capture]:
    """Return the captures whose tables have all the columns they name; none before the engine's tables exist.

    ``chosen`` are the tables to look at, all of them by default.
    """
    inspect = here.connection.introspection
    with here.connection.cursor() as cursor:
        tables = set(inspect.table_names(cursor))
        if not {OutboxRow._meta.db_table, TriggerClaim._meta.db_table} <= tables:
            return []
        return [
            here.triggers.completed(capture)
            for capture in captures(registry)
            if capture.table in tables
            and (chosen is None or capture.table in chosen)
            and not here.triggers.unfit(capture.table)
            and capture.named_columns <= here.column_names(capture.table)
        ]


def uncaptured() -> dict[str, str]:
    """Return the live tables whose changes are not recorded, with the reason of each: their feeds are not live."""
    here = database()
    return _uncaptured(here, _needed(here))


def _uncaptured(here: Database, needed: Needed) -> dict[str, str]:
    absent = {capture.table for capture in _missing(here, needed)}
    installed = {(capture.table, capture.columns) for capture in needed if capture.table not in absent}
    found = {}
    with here.connection.cursor() as cursor:
        tables = {info.name for info in here.connection.introspection.get_table_list(cursor)}
        for capture in captures(registry):
            table = capture.table
            if (table, capture.columns) in installed:
                continue
            if table not in tables:
                reason = (
                    "the database has no such table: run `manage.py migrate`, or see where routers send it"
                )
            elif reason := here.triggers.unfit(table):
                pass
            elif columns := capture.named_columns - here.column_names(table):
                reason = f"it has no column {', '.join(sorted(columns))}: run `manage.py migrate`"
            elif table in absent:
                reason = here.triggers.refusal(table) or _failures.get(table, "")
            if reason:
                found[table] = reason
    return found


def tables() -> list[str]:
    """Return the names of the live tables."""
    return [capture.table for capture in captures(registry)]


def install(
    wait_seconds: float = WAIT_SECONDS, *, tables: Collection[str] | None = None, is_patient: bool = False
) -> list[Capture]:
    """Make the triggers match the feeds; return the captures that did not.

    For each of these a reset is written to the outbox: the table is read again, for changes that were made while its
    triggers were missing. Triggers that no running release needs are dropped. Each table has its own transaction, so
    that no two tables are locked at once; a table that cannot be captured is left out.

    ``tables`` are those to install triggers on, all of them by default; ``is_patient``: see ``drop_obsolete``.
    """
    here = database()
    needed = _needed(here)
    lacking = [capture for capture in _missing(here, needed) if tables is None or capture.table in tables]
    installed = [capture for capture in lacking if _try(here, capture, wait_seconds)]
    if lacking:
        needed = _needed(here)  # while a table was waited for, another may have been altered
    _log_uncaptured(_uncaptured(here, needed))  # first: the role may lack rights for the rest
    _store_claims(needed)
    _drop_obsolete(here, needed, wait_seconds, is_patient)
    return installed


def _try(here: Database, capture: Capture, wait_seconds: float) -> bool:
    try:
        with _change(here, wait_seconds):
            if capture not in _missing(here, needed := _needed(here, [capture.table])):
                return False  # another process has installed them meanwhile
            here.triggers.create(capture)
            _store_claims({capture: needed[capture]}, here.table_states([capture.table]))
            OutboxRow.objects.create(source=capture.table, image=None)
    except DatabaseError as error:
        _failures[capture.table] = str(error).partition("\n")[0]
        _recover(here)
        return False
    _failures.pop(capture.table, None)
    logger.info("capture installed on %s", capture.table)
    return True


@contextmanager
def _change(here: Database, wait_seconds: float) -> Iterator[None]:
    """Run a block that changes triggers, without having other tables read again for it."""
    with engine_transaction():
        here.triggers.begin_change(wait_seconds)
        before = here.common_state()
        yield
        TriggerClaim.objects.filter(seen=before).exclude(seen="").update(seen=here.common_state())


def _recover(here: Database) -> None:
    """Close a connection that the server has ended, so that the next statement opens another."""
    if not here.connection.in_atomic_block:
        here.connection.close_if_unusable_or_obsolete()


def _log_uncaptured(reasons: Mapping[str, str]) -> None:
    """Log each table that cannot be captured, again only for another reason."""
    live = {table for feed in registry for table in feed.tables}
    for table, reason in reasons.items():
        if _logged.get(table) != reason:
            lost = "its feeds are not live" if table in live else "rights that depend on it end late"
            logger.error("changes of %s are not captured, %s: %s", table, lost, reason)
    _logged.clear()
    _logged.update(reasons)


def claim(here: Database) -> None:
    """Store that this release needs its triggers, so that no other release drops them."""
    _store_claims(_needed(here))


def _store_claims(needed: Needed, states: Mapping[str, TableState] | None = None) -> None:
    """Claim the triggers of captures; with ``states``, also store that the tables are read as they are now."""
    # By the triggers' names: two models may have the same table, and need the same triggers.
    claims = {
        name: TriggerClaim(
            name=name,
            table=capture.table,
            claimed_at=Now(),
            seen="" if states is None else states[capture.table].triggers[name],
        )
        for capture, names in needed.items()
        for name in names
    }
    TriggerClaim.objects.bulk_create(
        # Always in the same order, so that no two processes wait for each other.
        [claims[name] for name in sorted(claims)],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["table", "claimed_at", *([] if states is None else ["seen"])],
    )


def drop_obsolete(here: Database, wait_seconds: float, *, is_patient: bool = False) -> None:
    """Drop the triggers that no running release has claimed lately, and those of tables that were renamed.

    ``is_patient``: a trigger that was never claimed is dropped only after the time of a claim; a release that
    is older than claims may need it.
    """
    _drop_obsolete(here, _needed(here), wait_seconds, is_patient)


def _drop_obsolete(here: Database, needed: Needed, wait_seconds: float, is_patient: bool) -> None:
    wanted = {name for names in needed.values() for name in names}
    tables = {capture.table for capture in captures(registry)}
    TriggerClaim.objects.filter(claimed_at__lt=Now() - CLAIM_TIME).delete()
    claimed = set(TriggerClaim.objects.values_list("name", flat=True))
    for trigger in here.triggers.installed():
        if trigger.name in claimed or trigger.name in wanted:
            if not trigger.place or trigger.table in tables:
                continue
        elif is_patient:
            TriggerClaim.objects.get_or_create(name=trigger.name, defaults={"table": trigger.table})
            continue
        try:
            _drop(here, trigger, wait_seconds)
        except DatabaseError as error:
            logger.info("the obsolete trigger %s on %s stays: %s", trigger.name, trigger.place, error)
            _recover(here)


def uninstall(tables: Iterable[str] | None = None) -> None:
    """Drop the triggers of the tables, of all tables when None."""
    here = database()
    chosen = None if tables is None else set(tables)
    for trigger in here.triggers.installed():
        if chosen is None or trigger.table in chosen:
            _drop(here, trigger, WAIT_SECONDS)


def _drop(here: Database, trigger: InstalledTrigger, wait_seconds: float) -> None:
    with _change(here, wait_seconds):
        here.triggers.drop(trigger)
