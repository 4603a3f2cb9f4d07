"""What tests may leave open: the engine's threads, and the connection in which asynchronous code used the database."""

from asgiref.sync import SyncToAsync
from django.db import connections

from ..runtime import threads


def close_leftovers() -> None:
    """Close them, so that PostgreSQL can drop the test database; at the end of a run, or of a class of tests.

    An event loop that a test has ended stops neither the threads of an engine that ran in it nor their connections.
    """
    threads.close_open()
    SyncToAsync.single_thread_executor.submit(connections.close_all).result()
