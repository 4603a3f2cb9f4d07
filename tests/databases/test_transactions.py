"""Transactions of the engine: bounded at their beginning, unless they are part of a caller's."""

import contextlib

import pytest
from django.db import connection, connections, transaction

from realtime.databases.sqlite.database import SQLite
from realtime.databases.transactions import HOLD_SECONDS, WAIT_SECONDS, engine_transaction
from realtime.models import OutboxRow


@pytest.fixture
def limits(monkeypatch) -> list[tuple[float, ...]]:
    """The limits that transactions were given."""
    given: list[tuple[float, ...]] = []
    monkeypatch.setattr(SQLite, "limit_holding", lambda self, *seconds: given.append(seconds))
    return given


def test_a_transaction_is_limited_before_anything_else(log, limits):
    """Five seconds of idleness by default, and as a whole."""
    with engine_transaction() as here:
        assert limits == [(HOLD_SECONDS, WAIT_SECONDS, HOLD_SECONDS)]
        assert here.connection is connections["default"]
        assert connection.in_atomic_block


def test_a_long_transaction_is_limited_in_its_pauses(log, limits):
    """It may work for longer, but not be idle for longer."""
    with engine_transaction(seconds=60, wait_seconds=2):
        pass

    assert limits == [(HOLD_SECONDS, 2, 60)]


def test_a_callers_transaction_keeps_its_own_limits(log, limits):
    """The limits would outlive the engine's part of it."""
    with transaction.atomic(), engine_transaction():
        pass

    assert limits == []


def test_an_error_undoes_the_whole_transaction(log):
    """As with ``atomic``."""
    with contextlib.suppress(ZeroDivisionError), engine_transaction():
        OutboxRow.objects.create(source="a table", image=None)
        raise ZeroDivisionError

    assert not OutboxRow.objects.filter(source="a table").exists()
