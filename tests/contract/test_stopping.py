"""Threads that use a database are ended within a bounded time, whatever their queries do."""

import asyncio
import threading

import pytest
from django.db import OperationalError, connection

from realtime.runtime.threads import DatabaseThreads
from tests.apps.stuck.queries import ENDLESS


def ask(statement: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()


def threads_of(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(name)]


@pytest.mark.parametrize("calls", [1, 2, 5], ids=["one thread", "all threads", "and some that wait"])
def test_closing_ends_queries_that_do_not_end(database, calls):
    """They are cancelled; nothing is left running in the process or in the database."""
    threads = DatabaseThreads("test-stuck", 2)
    statement = ENDLESS[database.vendor]
    stuck = [threads.submit(ask, statement) for _ in range(calls)]

    threads.close()

    assert not threads_of("test-stuck")
    ended = [future for future in stuck if not future.cancelled()]
    assert len(ended) >= min(calls, 2)
    for future in ended:
        with pytest.raises(OperationalError):
            future.result(timeout=0)


def test_a_call_submitted_behind_an_endless_one_still_runs(database):
    """As the release of the publisher's lease does."""
    threads = DatabaseThreads("test-stuck", 1)
    threads.submit(ask, ENDLESS[database.vendor])
    last = threads.submit(ask, "SELECT 1")

    threads.close()

    assert last.result(timeout=0) == (1,)


async def test_closing_does_not_wait_for_a_call_that_cannot_be_cancelled(lines):
    """Its thread is given up; it does not keep the process from ending."""
    threads, begun, release = DatabaseThreads("test-stuck", 1), threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        release.wait(600)

    call = threads.submit(wait)
    waiting = threads.submit(wait)
    await asyncio.to_thread(begun.wait, 10)
    await asyncio.to_thread(threads.close)

    assert not call.done()
    assert waiting.cancelled()
    (thread,) = threads_of("test-stuck")
    assert thread.daemon
    assert lines() == ["test-stuck: 1 calls did not end and are given up"]
    release.set()
