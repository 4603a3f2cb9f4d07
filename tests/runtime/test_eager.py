"""Eager tasks: at once up to the first wait, as a task from there."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from realtime.runtime import eager


async def test_a_coroutine_that_does_not_wait_has_run():
    """Without a task, and without a turn of the loop."""
    steps = []

    async def work() -> None:
        steps.append("done")

    assert eager.start(work(), "work") is None
    assert steps == ["done"]


async def test_a_coroutine_that_waits_goes_on_as_a_task():
    """Up to the wait at once; the caller's own task is the current one again after that."""
    steps, event, caller = [], asyncio.Event(), asyncio.current_task()

    async def work() -> None:
        steps.append("begun")
        await event.wait()
        await asyncio.sleep(0)
        steps.append("done")

    task = eager.start(work(), "work")

    assert asyncio.current_task() is caller
    assert steps == ["begun"]
    assert task is not None
    assert (task.get_name(), task.done()) == ("work", False)
    event.set()
    await task
    assert steps == ["begun", "done"]


async def within_a_time(seconds: float) -> str:
    try:
        async with asyncio.timeout(seconds):
            await asyncio.sleep(60)
    except TimeoutError:
        return "timed out"
    return "slept"


async def of_a_group() -> str:
    async with asyncio.TaskGroup() as group:
        answer = group.create_task(asyncio.sleep(0, "grouped"))
    return answer.result()


async def with_wait_for() -> str:
    return await asyncio.wait_for(asyncio.sleep(0, "waited"), 60)


@pytest.mark.parametrize(
    "work, expected",
    [(lambda: within_a_time(0.01), "timed out"), (of_a_group, "grouped"), (with_wait_for, "waited")],
    ids=["timeout", "group", "wait_for"],
)
async def test_what_needs_the_current_task_works_in_the_first_step(
    work: Callable[[], Coroutine[Any, Any, str]], expected
):
    """A server's ``send`` may use any of them; the caller is not cancelled in its place."""
    results = []

    async def collect() -> None:
        results.append(await work())

    task = eager.start(collect(), "work")
    assert task is not None
    await asyncio.wait_for(task, 60)

    assert results == [expected]
    assert asyncio.current_task().cancelling() == 0


async def test_a_cancelled_task_cleans_up():
    """As any task."""
    steps = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            steps.append("cleaned up")

    task = eager.start(work(), "work")
    assert task is not None
    await asyncio.sleep(0)

    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    assert steps == ["cleaned up"]


async def test_it_starts_outside_of_a_task_too():
    """In a callback of the loop there is no current task."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    async def work() -> None:
        async with asyncio.timeout(60):
            await asyncio.sleep(0)
        done.set()

    loop.call_soon(lambda: eager.start(work(), "work"))

    await asyncio.wait_for(done.wait(), 60)
