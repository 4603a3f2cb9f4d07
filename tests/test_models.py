"""The engine's tables, as Django sees them."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings as project
from django.core.management import call_command
from django.db import connection

from realtime.models import LogEntry, OutboxRow, Sequencer, Ticket, WritersTransaction

ENGINE: list[Any] = list(apps.get_app_config("realtime").get_models())


class Elsewhere:
    """A router that sends every model to another database."""

    def db_for_read(self, model: object, **hints: object) -> str:
        return "elsewhere"

    def db_for_write(self, model: object, **hints: object) -> str:
        return "elsewhere"


@pytest.mark.parametrize("model", [OutboxRow, LogEntry, Sequencer, Ticket])
def test_the_engines_database_is_used_whatever_a_router_says(settings, model):
    """Positions, outbox and log belong to the database of the live models."""
    settings.DATABASE_ROUTERS = [Elsewhere()]
    settings.REALTIME = {**project.REALTIME, "DATABASE": "other"}

    assert model.objects.all().db == "other"
    assert model.objects.filter(pk=1).db == "other"


def test_a_row_is_written_there_too(log, settings):
    """The triggers of the live tables write to the same outbox."""
    settings.DATABASE_ROUTERS = [Elsewhere()]

    row = OutboxRow.objects.create(source="a_table", image=None)

    assert row._state.db == "default"
    assert OutboxRow.objects.get(pk=row.pk) == row


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


def dumped(path: Path, *options: str) -> list[dict[str, Any]]:
    call_command("dumpdata", *options, output=str(path), verbosity=0)
    return json.loads(path.read_text())


def state() -> dict[str, list[dict[str, Any]]]:
    """Return all rows of the engine's tables."""
    return {model.__name__: list(model.objects.order_by("pk").values()) for model in ENGINE}


def test_loading_a_dump_of_them_changes_nothing(log, quay, tmp_path):
    """``dumpdata realtime`` has them: their positions and epoch are those of another time, or another database."""
    quay.save()
    log.sequenced()
    dump = tmp_path / "dump.json"
    assert {"realtime.sequencer"} <= {row["model"] for row in dumped(dump, "realtime")}
    Sequencer.objects.update(epoch="later")
    LogEntry.objects.all().delete()
    before = state()

    call_command("loaddata", str(dump), verbosity=0)

    assert state() == before


def test_a_loaded_dump_of_live_rows_is_a_change_like_any_other(log, quay, tmp_path):
    dump = tmp_path / "dump.json"
    dumped(dump, "boards")
    before = OutboxRow.objects.count()

    call_command("loaddata", str(dump), verbosity=0)

    assert OutboxRow.objects.count() > before
