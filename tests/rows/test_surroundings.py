"""Surroundings: the router that reads related rows where they are captured.

tests/contract/test_rendering.py compares the bytes of rows rendered in other surroundings.
"""

import pytest
from django.contrib.auth.models import User
from django.db import router

from realtime.boards.models import Board
from realtime.rows.surroundings import surroundings


class Routers:
    """Reads boards from a replica; users are in a database of their own."""

    def db_for_read(self, model, **hints):
        return "users" if model is User else "replica"

    def db_for_write(self, model, **hints):
        return "users" if model is User else None


@pytest.fixture(autouse=True)
def routers(settings):
    settings.DATABASE_ROUTERS = [Routers()]


def test_related_rows_are_read_from_the_engines_database():
    """Where their changes are captured; a replica may lag behind."""
    assert router.db_for_read(Board) == "replica"

    with surroundings(None, None):
        assert router.db_for_read(Board) == "default"
    assert router.db_for_read(Board) == "replica"


def test_models_of_another_database_are_read_there():
    """Their tables are not in the engine's database at all."""
    with surroundings(None, None):
        assert router.db_for_read(User) == "users"


def test_an_error_restores_the_routers():
    with pytest.raises(RuntimeError), surroundings(None, None):
        raise RuntimeError

    assert router.db_for_read(Board) == "replica"
