"""Database threads: their number is bounded, their connections stay open, and are closed at the end."""

import asyncio
import threading
from types import SimpleNamespace

import pytest
from django.db import OperationalError, connection, connections, transaction

from realtime.runtime.threads import (
    DatabaseThreads,
    close_all,
    close_former_connections,
    reopen_connections,
)

pytestmark = pytest.mark.usefixtures("transactional_db")


@pytest.fixture
def threads():
    threads = DatabaseThreads("realtime-test", 2)
    yield threads
    threads.close()


async def test_calls_run_in_as_many_threads_as_given(threads):
    """Two at once; the third waits."""
    both = threading.Barrier(2)

    def name() -> str:
        return threading.current_thread().name

    def together() -> str:
        both.wait(10)
        return name()

    names = set(await asyncio.gather(threads.run(together), threads.run(together)))

    assert len(names) == 2
    assert await threads.run(name) in names


async def test_a_lost_connection_has_other_threads_open_theirs_again(threads, monkeypatch):
    """The server has ended those of idle threads, too: the first question to each would fail after every outage."""
    idle, other = DatabaseThreads("realtime-test-idle", 1), DatabaseThreads("realtime-test-other", 1)

    def opened() -> int:
        connection.ensure_connection()
        return id(connection.connection)

    def lose() -> None:
        connection.connection = SimpleNamespace(closed=True, close=lambda: None)
        raise OperationalError("the server closed the connection")

    def fail() -> None:
        connection.ensure_connection()
        raise OperationalError("a query took too long")

    before = await idle.run(opened)
    with pytest.raises(OperationalError, match="too long"):
        await other.run(fail)
    assert await idle.run(opened) == before
    with pytest.raises(OperationalError, match="server closed"):
        await other.run(lose)
    kept = await idle.run(lambda: connections.all(initialized_only=True)[0].connection)

    assert kept is None
    await close_all(idle, other)


async def test_a_request_inside_a_transaction_leaves_its_connection_open(threads):
    """As those of Django's test client do, which begin in a test's transaction; after it, it is opened again."""

    def is_opened_again() -> bool:
        before = _driver()
        reopen_connections()
        with transaction.atomic(), connection.cursor() as cursor:
            close_former_connections()
            cursor.execute("SELECT 1")
        close_former_connections()
        return _driver() is not before

    assert await threads.run(is_opened_again)


def _driver() -> object:
    connection.ensure_connection()
    return connection.connection


async def test_a_database_error_closes_the_connection(threads):
    """It may be the cause; the next call opens a new one. Other errors leave it open."""
    threads = DatabaseThreads("realtime-test-one", 1)

    def is_open() -> bool:
        connection.ensure_connection()
        return connections["default"].connection is not None

    def still_open() -> bool:
        return connections["default"].connection is not None

    def fail(error: Exception) -> None:
        raise error

    assert await threads.run(is_open)
    with pytest.raises(ValueError, match="ours"):
        await threads.run(fail, ValueError("ours"))
    assert await threads.run(still_open)
    with pytest.raises(OperationalError):
        await threads.run(fail, OperationalError("gone away"))
    assert not await threads.run(still_open)
    await asyncio.to_thread(threads.close)


class Timeout(BaseException):
    """As some libraries have it."""


@pytest.mark.parametrize(
    "error",
    [
        StopIteration(),
        SystemExit(1),
        asyncio.CancelledError(),
        KeyboardInterrupt(),
        GeneratorExit(),
        Timeout(),
    ],
    ids=repr,
)
async def test_what_an_event_loop_would_take_for_its_own_is_an_error_of_the_call(threads, error):
    """Otherwise the caller would wait for ever, the process end, or the caller's task be cancelled."""

    def fail() -> None:
        raise error

    async with asyncio.timeout(60):
        with pytest.raises(RuntimeError, match=type(error).__name__):
            await threads.run(fail)

    assert await threads.run(threading.current_thread)


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), GeneratorExit(), Timeout()], ids=repr)
async def test_a_page_that_raises_what_would_end_the_process_has_failed(threads, error):
    """Requests are run by asgiref, which awaits such a future in a task of the loop."""

    def fail() -> None:
        raise error

    with pytest.raises(RuntimeError, match=type(error).__name__):
        await asyncio.wrap_future(threads.submit(fail))


async def test_the_cancellation_of_a_request_stays_one(threads):
    """Its client has left: asgiref ends the request without an error."""

    def leave() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wrap_future(threads.submit(leave))


async def test_closing_waits_for_calls_and_closes_every_connection(monkeypatch):
    """In the threads themselves: a connection belongs to its thread."""
    threads, closed = DatabaseThreads("realtime-test", 2), set()
    monkeypatch.setattr(connections, "close_all", lambda: closed.add(threading.current_thread().name))
    begun, finished = threading.Barrier(3), []

    def slow() -> None:
        begun.wait(10)
        finished.append(threading.Event().wait(0.05))

    calls = [asyncio.ensure_future(threads.run(slow)) for _ in range(2)]
    await asyncio.to_thread(begun.wait, 10)
    await asyncio.to_thread(threads.close)
    await asyncio.gather(*calls)

    assert finished == [False, False]
    assert len(closed) == 2


async def test_after_closing_nothing_is_accepted():
    """Also where no thread was ever started."""
    threads = DatabaseThreads("realtime-test", 2)
    threads.close()
    threads.close()

    with pytest.raises(RuntimeError, match="stops"):
        await threads.run(len, [])


async def test_pools_without_a_thread_are_closed_without_one():
    """A server has dozens of them, and a process that stops is in a hurry."""
    pools, running = [DatabaseThreads(f"realtime-test-{n}", 2) for n in range(3)], {*threading.enumerate()}

    await close_all(*pools)

    assert {*threading.enumerate()} <= running
    for pool in pools:
        with pytest.raises(RuntimeError, match="stops"):
            await pool.run(len, [])


async def test_a_cancelled_call_that_has_not_begun_is_not_made(threads):
    """And its thread goes on with the next one."""
    together = threading.Barrier(3)
    made: list[int] = []
    running = [asyncio.ensure_future(threads.run(together.wait, 10)) for _ in range(2)]
    waiting = asyncio.ensure_future(threads.run(made.append, 1))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await asyncio.to_thread(together.wait, 10)
    await asyncio.gather(*running)

    await threads.run(made.append, 2)

    assert made == [2]
