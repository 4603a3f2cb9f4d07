"""CPU time: each step of a coroutine is measured, its waits are not, and nothing else about it changes."""

import asyncio
import time

import pytest

from realtime.runtime import cpu_time
from realtime.runtime.cpu_time import measured, measured_call, waited


def work(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


async def test_work_counts_and_waiting_does_not():
    """However long it takes by a clock on the wall."""
    noted: list[float] = []
    others = asyncio.create_task(asyncio.to_thread(work, 0.2))

    async def answer() -> str:
        work(0.02)
        await others
        work(0.03)
        return "answer"

    assert await measured(answer(), noted.append) == "answer"
    assert 0.05 <= sum(noted) < 0.15
    assert len(noted) == 2


async def test_an_error_passes_and_its_work_counts():
    """The work of the coroutine counts, and that of what it awaits."""
    noted: list[float] = []

    async def fail_at_last() -> None:
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 0.001)
        except TimeoutError:
            work(0.01)
            raise ValueError("an error") from None

    with pytest.raises(ValueError, match="an error"):
        await measured(fail_at_last(), noted.append)

    assert sum(noted) >= 0.01


async def test_a_cancelled_task_ends_its_coroutine():
    """As if it were not measured."""
    is_ended, has_begun = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        try:
            has_begun.set()
            await asyncio.Event().wait()
        finally:
            is_ended.set()

    task = asyncio.create_task(_run(wait()))
    await has_begun.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert is_ended.is_set()


async def _run(coroutine) -> None:
    await measured(coroutine, lambda seconds: None)


def test_a_call_counts_also_if_it_fails():
    """By the CPU time of its thread; the result and the error pass."""
    noted: list[float] = []

    def fail() -> None:
        work(0.02)
        raise ValueError("at last")

    assert measured_call(noted.append, abs, -1) == 1
    with pytest.raises(ValueError, match="at last"):
        measured_call(noted.append, fail)
    assert noted[1] >= 0.02


@pytest.mark.parametrize(
    "text, seconds",
    [("120 2500000000 7\n", 2.5), ("120 0 7\n", 0.0), ("", 0.0), ("no numbers here", 0.0), (None, 0.0)],
)
def test_the_wait_for_a_core_is_what_the_system_counts(tmp_path, monkeypatch, text, seconds):
    """None where it does not count."""
    monkeypatch.setattr(cpu_time, "_SCHEDULED", str(tmp_path / "schedstat"))
    if text is not None:
        (tmp_path / "schedstat").write_text(text)

    assert waited() == seconds
