"""Waking the publisher when this process commits a write, instead of at its next tick.

An optimisation, not needed for correctness: a write that is not noticed here (a C extension, another process) is
found by the tick.
"""

import threading
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from ..conf import get_conf

_WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE", "TRUNCATE", "COPY", "MERGE")
# Process-wide, not part of a service: connections are watched from their creation on, in any thread and before there
# is a service, and Django's signal for that is process-wide too.
_wakers: set[Callable[[], None]] = set()
_ignored = threading.local()


def subscribe(waker: Callable[[], None]) -> None:
    """Call ``waker``, in the writer's thread, after each commit of a write in this process."""
    _wakers.add(waker)


def unsubscribe(waker: Callable[[], None]) -> None:
    _wakers.discard(waker)


def ignore_this_thread() -> None:
    """Ignore the writes of this thread: they are the engine's own."""
    _ignored.on = True


def watch_connection(connection: BaseDatabaseWrapper, **kwargs: object) -> None:
    """Watch the writes of a new database connection; a receiver of ``connection_created``."""
    is_ours = connection.alias == get_conf().database
    if is_ours and _watch_statement not in connection.execute_wrappers:
        connection.execute_wrappers.append(_watch_statement)


def _watch_statement(
    execute: Callable[..., Any], sql: object, params: object, many: bool, context: dict[str, Any]
) -> Any:
    result = execute(sql, params, many, context)
    connection = context["connection"]
    has_on_commit = connection.in_atomic_block or connection.get_autocommit()
    if _wakers and has_on_commit and not getattr(_ignored, "on", False) and _is_write(sql):
        pending = connection.run_on_commit
        if not (pending and pending[-1][1] is _wake):  # one call per transaction is enough
            transaction.on_commit(_wake, using=connection.alias, robust=True)
    return result


def _is_write(sql: object) -> bool:
    """Return whether a statement may write: after WITH, if it has a word for it anywhere."""
    if not isinstance(sql, str):
        return False
    start = sql.lstrip()[:8].upper()
    return start.startswith(_WRITES) or (
        start.startswith("WITH") and any(word in sql.upper() for word in _WRITES)
    )


def _wake() -> None:
    for waker in list(_wakers):
        waker()
