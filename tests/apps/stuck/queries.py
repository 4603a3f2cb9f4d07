"""Queries that do not end, of each database."""

from django.db import connection

ENDLESS = {
    "sqlite": "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    "postgresql": "SELECT pg_sleep(3600)",
}


def hang() -> None:
    """Run a query that never ends."""
    with connection.cursor() as cursor:
        cursor.execute(ENDLESS[connection.vendor])
