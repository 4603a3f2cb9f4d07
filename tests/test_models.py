"""The engine's tables, as Django sees them."""

import pytest
from django.conf import settings as project
from django.db import connection

from realtime.models import LogEntry, OutboxRow, Sequencer, WritersTransaction


def test_the_engines_database_is_used_whatever_a_router_says(settings):
    """Positions, outbox and log belong to the database of the live models."""
    settings.REALTIME = {**project.REALTIME, "DATABASE": "other"}

    assert OutboxRow.objects.all().db == "other"
    assert LogEntry.objects.filter(topic="x").db == "other"


def test_the_writers_transaction_is_null_where_writers_take_turns():
    """PostgreSQL names it, with the upper half that counts wraparounds."""
    transaction = WritersTransaction()

    assert transaction.as_sql(None, connection)[0] == "NULL"
    assert transaction.as_postgresql(None, None) == ("pg_current_xact_id()::text::bigint", [])


@pytest.mark.parametrize(
    "row, text",
    [
        (OutboxRow(id=3, source="shop_product", image={"id": "7"}), "3: shop_product {'id': '7'}"),
        (LogEntry(position=5, kind="changes", topic="products.7"), "5: changes of products.7"),
    ],
    ids=["outbox", "log"],
)
def test_a_row_names_what_it_is_about(row, text):
    """In the admin's lists and in error messages."""
    assert str(row) == text


def test_the_state_of_sequencing_is_shown_as_a_position():
    """Transactions below ``next`` that are not sequenced yet count for the offset."""
    assert str(Sequencer(epoch="e", next=10, open=[7, 8])) == "e.8"
