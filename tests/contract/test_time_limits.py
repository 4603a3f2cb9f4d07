"""A time limit of a query holds for the statements of its block, and for no other."""

import pytest
from django.db import OperationalError, connection

from realtime.databases.registry import database as engines_database

ENDLESS = {
    "sqlite": "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    "postgresql": "SELECT pg_sleep(3600)",
}
LONGER_THAN_THE_LIMIT = {
    "sqlite": "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 300000) SELECT count(*) FROM n",
    "postgresql": "SELECT count(*) FROM pg_sleep(0.03)",
}


def ask(statement: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()


def test_a_query_over_its_time_fails_and_the_transaction_goes_on(database):
    """So that the round of sequencing around it goes on."""
    here = engines_database()
    with here.read_transaction():
        with pytest.raises(OperationalError), here.failing_alone(), here.limit_query_time(0.01):
            ask(ENDLESS[database.vendor])

        assert ask("SELECT 1") == (1,)


def test_the_limit_ends_with_its_block_after_another_error(database):
    """An error that did not reach the database, so that its transaction is unchanged."""
    here = engines_database()
    with here.read_transaction():
        with pytest.raises(ZeroDivisionError), here.limit_query_time(0.01):
            raise ZeroDivisionError

        assert ask(LONGER_THAN_THE_LIMIT[database.vendor]) is not None


@pytest.mark.parametrize("is_over", [False, True], ids=["after a quick query", "after a query over its time"])
def test_the_limit_ends_with_its_block(database, is_over):
    """Later statements of the transaction may take longer."""
    here = engines_database()
    with here.read_transaction():
        if is_over:
            with pytest.raises(OperationalError), here.failing_alone(), here.limit_query_time(0.01):
                ask(ENDLESS[database.vendor])
        else:
            with here.failing_alone(), here.limit_query_time(0.01):
                ask("SELECT 1")

        assert ask(LONGER_THAN_THE_LIMIT[database.vendor]) is not None


def test_where_statements_run_in_this_thread_its_own_time_decides(on_sqlite):
    """Not the clock: a thread that waits for a core gets nothing done."""
    here = engines_database()
    with here.read_transaction():
        with pytest.raises(OperationalError), here.limit_query_time(1000, lambda: True):
            ask(ENDLESS["sqlite"])
        with here.limit_query_time(0.0, lambda: False):
            assert ask(LONGER_THAN_THE_LIMIT["sqlite"]) == (300_000,)
