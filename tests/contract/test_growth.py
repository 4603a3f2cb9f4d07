"""Growth: what is asked of log and outbox costs the same however much they hold, of one topic or of others."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
from django.db import connection

from realtime.boards.models import Entry
from realtime.databases.base import Database as Contract
from realtime.databases.registry import database as here
from realtime.publishing import log, positions
from tests.contract.conftest import Database
from tests.support.servers import ROOT

TOPIC, FEED = "entries.2", "entries"
MANY = 5_000


def add(kind: str, topic: str, number: int) -> None:
    """Add old entries, each at a position of its own, to the log."""
    numbers = f"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number}) SELECT i FROM n)"
    with connection.cursor() as cursor:
        cursor.execute(
            'INSERT INTO realtime_logentry (position, topic, kind, "after", begins, payload) '
            f"SELECT i - {MANY} - 1, '{topic}', '{kind}', 0, 0, '[]' FROM {numbers} AS numbers"
        )


def fill(database: Database, number: int) -> None:
    """Give the log that many entries of each kind that a topic and its feed have, and ten times as many of others."""
    for kind in ("changes", "unfollowed", "reset"):
        add(kind, TOPIC, number)
    for kind in ("rights", "reset"):
        add(kind, FEED, number)
    for other in range(10):
        add("changes", f"other.{other}", number)
    if database.vendor == "postgresql":
        connection.cursor().execute("ANALYZE realtime_logentry")


@contextmanager
def statements(found: list[tuple[str, Any]]) -> Iterator[None]:
    """Note the statements of a block, with their parameters."""
    fetch = type(here()).fetch

    def noted(self: Contract, statement: str, parameters: Any = ()) -> list[Any]:
        found.append((statement, parameters))
        return fetch(self, statement, parameters)

    def wrap(execute: Callable[..., Any], sql: str, parameters: Any, many: bool, context: Any) -> Any:
        found.append((sql, parameters))
        return execute(sql, parameters, many, context)

    with pytest.MonkeyPatch.context() as patch, connection.execute_wrapper(wrap):
        patch.setattr(type(here()), "fetch", noted)
        yield


def rows_read(plan: dict[str, Any]) -> int:
    """Return how many rows an executed plan has read from log and outbox, with those that it dropped."""
    rows = 0
    if plan.get("Relation Name", "") in ("realtime_logentry", "realtime_outboxrow"):
        rows = int((plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"])
    return rows + sum(map(rows_read, plan.get("Plans", [])))


def work(database: Database, function: Callable[[], object]) -> int:
    """Return what the queries of a function cost: rows that they read on PostgreSQL, steps of its machine on SQLite."""
    connection.ensure_connection()
    if database.vendor == "sqlite":
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 10
            return 0

        with pytest.MonkeyPatch.context() as patch:
            # Uses the handler.
            patch.setattr(type(here()), "limit_query_time", lambda self, *arguments: nullcontext())
            connection.connection.set_progress_handler(count, 10)
            function()
            connection.connection.set_progress_handler(None, 0)
        return steps
    found: list[tuple[str, Any]] = []
    with statements(found):
        function()
    rows = 0
    for sql, parameters in found:
        if str(sql).lstrip().startswith("SELECT") and "realtime_" in sql:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", parameters)
                (plan,) = cursor.fetchone()
            rows += rows_read((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"])
    return rows


def sequence_a_change(database: Database) -> None:
    Entry.objects.filter(pk=3).update(label="changed")
    assert database.sequence() is not None


ASKED: dict[str, Callable[[Database], object]] = {
    "the newest entry of topics": lambda database: log.newest([TOPIC, FEED, "other.1", "unknown"]),
    "a topic's rows": lambda database: positions.read_topic(TOPIC),
    "the tail": lambda database: log.tail(positions.probe().log_end - 1),
    "what a topic has missed": lambda database: log.missed(TOPIC, FEED, positions.probe().log_end - 1),
    "what topics have missed": lambda database: log.missed_of(FEED, [(TOPIC, 0), ("entries.1", 0)]),
    "the probe": lambda database: positions.probe(),
}


@pytest.mark.parametrize("name", ASKED)
def test_a_long_log_costs_no_more_than_a_short_one(database, name):
    """An index leads to each requested entry."""
    sequence_a_change(database)
    fill(database, 10)
    few = work(database, lambda: ASKED[name](database))

    fill(database, MANY)
    many = work(database, lambda: ASKED[name](database))

    assert many < few + 2000, f"{few} became {many}"
    assert few < 20_000


def test_a_change_of_a_topic_with_many_entries_costs_what_it_costs_with_one(database):
    """It has one more entry then."""
    fill(database, 10)
    few = work(database, lambda: sequence_a_change(database))

    fill(database, MANY)
    many = work(database, lambda: sequence_a_change(database))

    assert many < few + 2000, f"{few} became {many}"


def test_a_step_of_pruning_looks_at_a_part_of_a_long_log(database, monkeypatch):
    """Nothing is deleted of entries that are young and not too many."""
    monkeypatch.setattr(log, "EDGE_ROWS", 100)
    fill(database, 10)
    few = work(database, log._move_edge)

    fill(database, 1000)
    many = work(database, log._move_edge)

    assert many < few + 10_000, f"{few} became {many}"


def test_a_reading_looks_at_a_part_of_what_waits_to_be_sequenced(database, monkeypatch):
    """A million rows of another table may wait. Then the topic counts as changed, which costs a snapshot."""
    monkeypatch.setattr(positions, "MAX_WAITING_ROWS", 100)
    sequence_a_change(database)
    costs, unchanged = [], []
    for number in (90, MANY):
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO realtime_outboxrow (source, image) SELECT 'another', '{}' FROM (WITH RECURSIVE n(i) AS "
                f"(SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number}) SELECT i FROM n) AS numbers"
            )
        if database.vendor == "postgresql":
            connection.cursor().execute("ANALYZE realtime_outboxrow")
        costs.append(work(database, lambda: positions.read_topic(TOPIC)))
        reading = positions.read_topic(TOPIC)
        unchanged.append((reading.unchanged_since, reading.rights_since) == (reading.position.offset,) * 2)

    assert costs[1] < costs[0] + 2000, costs
    assert unchanged == [False, True]


def outbox_bytes(database: Database) -> int:
    """Return how large the outbox is; on SQLite the file, in which nothing else grows meanwhile."""
    size = (
        "SELECT pg_total_relation_size('realtime_outboxrow')"
        if database.vendor == "postgresql"
        else "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
    )
    with connection.cursor() as cursor:
        cursor.execute(size)
        return int(cursor.fetchone()[0])


def test_a_change_takes_as_much_of_the_outbox_as_the_deployment_page_says(database):
    """Operators plan by it how much room a large import needs until it is pruned."""
    stated = re.search(
        r"outbox takes (\d+) bytes for each changed row on SQLite and (\d+) on PostgreSQL",
        (ROOT / "docs" / "deploy.md").read_text(),
    )
    assert stated is not None
    changes = 10_000
    Entry.objects.bulk_create([Entry(board_id=2, label="a", position=1) for _ in range(changes)])
    before = outbox_bytes(database)

    Entry.objects.filter(label="a").update(label="b")

    each = (outbox_bytes(database) - before) / changes
    assert each == pytest.approx(int(stated[2 if database.vendor == "postgresql" else 1]), rel=0.25)
