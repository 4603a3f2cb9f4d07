"""Waking the publisher when this process writes, instead of at its next tick.

Economy, not safety: a write that escapes here (a C extension, another process) is found by the tick.
"""

import threading
from collections.abc import Callable

from django.db import transaction

from ..conf import get_conf

_WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE", "WITH", "TRUNCATE", "COPY", "MERGE")
_wakers: set[Callable[[], None]] = set()
_quiet = threading.local()


def subscribe(waker: Callable[[], None]) -> None:
    """Call ``waker``, from whatever thread, after each commit of a write in this process."""
    _wakers.add(waker)


def unsubscribe(waker: Callable[[], None]) -> None:
    _wakers.discard(waker)


def ignore_this_thread() -> None:
    """Take the writes of this thread as the engine's own, which wake nobody."""
    _quiet.on = True


def watch_connection(connection, **kwargs) -> None:
    """Watch the writes of a new database connection; a receiver of ``connection_created``."""
    is_ours = connection.alias == get_conf().database
    if is_ours and _notice_write not in connection.execute_wrappers:
        connection.execute_wrappers.append(_notice_write)


def _notice_write(execute, sql, params, many, context):
    result = execute(sql, params, many, context)
    connection = context["connection"]
    can_tell = connection.in_atomic_block or connection.get_autocommit()
    if _wakers and can_tell and not getattr(_quiet, "on", False) and _is_write(sql):
        pending = connection.run_on_commit
        if not (pending and pending[-1][1] is _wake):  # one call a transaction is enough
            transaction.on_commit(_wake, using=connection.alias, robust=True)
    return result


def _is_write(sql: object) -> bool:
    return isinstance(sql, str) and sql.lstrip()[:8].upper().startswith(_WRITES)


def _wake() -> None:
    for waker in list(_wakers):
        waker()
