"""Leftovers of tests: the engine's threads, and the database connection of asynchronous code."""

from asgiref.sync import SyncToAsync
from django.db import connections

from ..runtime import threads


def close_leftovers() -> None:
    """Close the engine's threads and their connections, so that PostgreSQL can drop the test database.

    An event loop that a test has ended stops neither the threads of an engine that ran in it nor their connections.
    """
    threads.close_open()
    SyncToAsync.single_thread_executor.submit(connections.close_all).result()
