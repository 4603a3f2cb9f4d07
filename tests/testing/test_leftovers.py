"""After a test nothing of the engine stays open."""

import asyncio
import threading

from asgiref.sync import SyncToAsync, sync_to_async
from django.db import connection

from realtime.boards.models import Board
from realtime.runtime.threads import DatabaseThreads
from realtime.service import get_service
from realtime.testing import close_leftovers


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("realtime-")}


def test_the_threads_of_an_engine_whose_loop_has_ended_are_closed(transactional_db, layer):
    """A test that forgets to stop it keeps the test database from being dropped."""

    async def forget() -> None:
        await get_service().ensure_started()
        await get_service().reader_threads.run(Board.objects.count)

    before = threads()
    asyncio.run(forget())
    assert threads() - before

    close_leftovers()

    assert threads() <= before


def test_idle_pools_and_closed_ones_are_no_problem(db):
    """It may be called at any time, and again."""
    pool = DatabaseThreads("realtime-left", 1)
    pool.submit(int).result()
    pool.close()

    close_leftovers()
    close_leftovers()

    assert "realtime-left_0" not in threads()


def test_the_connection_of_asynchronous_code_is_closed(transactional_db):
    """Django's asynchronous queries run in a thread of asgiref's, which is never ended."""

    def is_open() -> bool:
        return connection.connection is not None

    asyncio.run(sync_to_async(Board.objects.count)())
    executor = SyncToAsync.single_thread_executor
    assert executor.submit(is_open).result()

    close_leftovers()

    assert not executor.submit(is_open).result()
