"""A condition of a query that takes a given time, and that a time limit of the database ends, like real work."""

import time
from typing import Any

STEP_SECONDS = 0.001


def pause(vendor: str, seconds: float) -> str:
    """Return a condition that is true after that many seconds."""
    if vendor == "postgresql":
        return f"(SELECT count(*) FROM pg_sleep({seconds})) = 1"
    steps = max(1, round(seconds / STEP_SECONDS))
    return (
        "(WITH RECURSIVE step(number) AS (SELECT 1 UNION ALL "
        f"SELECT number + 1 FROM step WHERE number < {steps}) SELECT count(suite_pause()) FROM step) = {steps}"
    )


def add_pause(connection: Any, **kwargs: object) -> None:
    """Add the function that SQLite lacks to a new connection; a receiver of ``connection_created``.

    Short steps: SQLite is interrupted between two calls of a function, not within one.
    """
    if connection.vendor == "sqlite":
        connection.connection.create_function("suite_pause", 0, _pause)


def _pause() -> int:
    time.sleep(STEP_SECONDS)
    return 1
