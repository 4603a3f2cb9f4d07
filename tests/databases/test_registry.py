"""The registry: the engine's database as an object of its vendor's class."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from realtime.databases.base import Database
from realtime.databases.postgresql.database import PostgreSQL
from realtime.databases.registry import database
from realtime.databases.sqlite.database import SQLite


@pytest.mark.parametrize("vendor, kind", [("sqlite", SQLite), ("postgresql", PostgreSQL)])
def test_each_vendor_has_its_class(monkeypatch, vendor, kind):
    """It uses this thread's connection to the database that the settings name."""
    monkeypatch.setattr(connection, "vendor", vendor, raising=False)

    here = database()

    assert isinstance(here, kind)
    assert isinstance(here, Database)
    assert here.connection is here.triggers.connection
    assert here.alias == "default"


def test_another_vendor_is_refused(monkeypatch):
    """The error names those that work."""
    monkeypatch.setattr(connection, "vendor", "mysql", raising=False)

    with pytest.raises(ImproperlyConfigured, match="does not work on mysql; use one of: postgresql, sqlite"):
        database()
