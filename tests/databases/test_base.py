"""The contract of a database: every vendor implements all of it."""

import inspect

import pytest
from django.db.backends.postgresql.base import DatabaseWrapper as PostgreSQLConnection
from django.db.backends.sqlite3.base import DatabaseWrapper as SQLiteConnection

from realtime.databases import base
from realtime.databases.base import Database, Triggers
from realtime.databases.postgresql.database import PostgreSQL
from realtime.databases.sqlite.database import SQLite

VENDORS = [(PostgreSQL, PostgreSQLConnection), (SQLite, SQLiteConnection)]


@pytest.mark.parametrize("vendor, connection", VENDORS, ids=lambda value: value.__module__.split(".")[2])
def test_a_vendor_implements_the_whole_contract(vendor, connection):
    """An abstract method that is missing prevents the object from being made."""
    database = vendor(connection({}))

    assert isinstance(database, Database)
    assert isinstance(database.triggers, Triggers)
    assert isinstance(vendor.STAMP, str)


@pytest.mark.parametrize("vendor, connection", VENDORS, ids=lambda value: value.__module__.split(".")[2])
@pytest.mark.parametrize("name", sorted(Database.__abstractmethods__))
def test_a_vendors_method_has_the_parameters_of_the_contract(vendor, connection, name):
    """Callers work with any database."""
    implemented, declared = getattr(vendor, name), getattr(Database, name)

    assert list(inspect.signature(implemented).parameters) == list(inspect.signature(declared).parameters)


@pytest.mark.parametrize("text, is_storable", [
    ("", True), ("größe ☃ 😀 \n", True), ("\0", False), ("a\0b", False), ("\ud800", False), ("\udc00\ud83d", False),
])  # fmt: skip
def test_text_that_no_database_stores_is_recognised(text, is_storable):
    """PostgreSQL refuses null characters, and no driver encodes half a pair of surrogates."""
    assert base.is_storable(text) is is_storable
