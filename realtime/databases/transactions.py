"""Transactions in which the engine takes locks: each is bounded in time, even if its process freezes.

A process that is frozen, or whose network is cut, inside a transaction keeps its locks until the server ends the
transaction. Such a transaction must not use ``executemany``: psycopg sends it as a pipeline, in which the server
counts the time between two statements as work, and no time-out runs.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction

from .base import Database
from .registry import database

HOLD_SECONDS = 5.0
"""How long a transaction may be idle, and last as a whole."""
WAIT_SECONDS = 5.0
"""How long one of its statements waits for a lock."""


@contextmanager
def engine_transaction(
    seconds: float = HOLD_SECONDS, wait_seconds: float = WAIT_SECONDS
) -> Iterator[Database]:
    """Run a block in a transaction of the engine's database, which is yielded.

    Units: ``seconds`` is the time for all of its statements together, where the server can limit that; the
           server ends a transaction that is idle after ``HOLD_SECONDS`` in any case. One that may last for
           longer waits more briefly: processes that freeze while they wait must not get the lock one after
           the other.

    Inside a caller's transaction this is a savepoint, and the bounds of that transaction do not change.
    """
    here = database()
    is_outermost = not here.connection.in_atomic_block
    with transaction.atomic(using=here.alias):
        if is_outermost:
            here.limit_holding(HOLD_SECONDS, wait_seconds, seconds)
        yield here
