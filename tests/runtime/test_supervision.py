"""A supervised task continues after a failed round, and ends only when it is cancelled itself."""

import asyncio
import logging
import sqlite3

import pytest
from django.db import OperationalError

from realtime.runtime import metrics, supervision
from realtime.runtime.supervision import supervise
from tests.conftest import until

logger = logging.getLogger("realtime.service")


@pytest.fixture
def rounds(monkeypatch) -> asyncio.Queue[BaseException | None]:
    """The outcomes of the next rounds; a round waits for its own. Pauses are short."""
    monkeypatch.setattr(supervision, "MAX_BACKOFF_SECONDS", 0.001)
    return asyncio.Queue()


@pytest.fixture
async def task(rounds):
    async def one_round() -> None:
        outcome = await rounds.get()
        if outcome is not None:
            raise outcome

    task = asyncio.create_task(supervise("the watch", one_round, logger))
    yield task
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_a_repeated_failure_is_logged_once_and_its_end_too(rounds, task, lines):
    """With the traceback of the first one; another failure has a line of its own. Each is counted."""
    before = metrics.failed_rounds.labels("the watch")._value.get()
    for outcome in (OSError("away"), OSError("away"), ValueError("wrong"), None):
        rounds.put_nowait(outcome)
    await until(lambda: lines(logging.INFO))

    assert lines(logging.ERROR) == [
        "the watch failed, will be tried again in 0.001 s: OSError: away\nTraceback",
        "the watch failed, will be tried again in 0.001 s: ValueError: wrong\nTraceback",
    ]
    assert lines(logging.INFO) == ["the watch works again"]
    assert metrics.failed_rounds.labels("the watch")._value.get() == before + 3


async def test_a_failure_of_the_database_is_logged_with_what_to_do_about_it(rounds, task, lines):
    """Instead of a traceback: the fault is not in the code."""
    error = OperationalError("no such table: realtime_ticket")
    error.__cause__ = sqlite3.OperationalError(str(error))
    rounds.put_nowait(error)
    await until(lambda: lines(logging.ERROR))

    assert lines(logging.ERROR) == [
        "the watch failed, will be tried again in 0.001 s: OperationalError: no such table: realtime_ticket; "
        "run `manage.py migrate`"
    ]


async def test_the_cancellation_of_another_task_does_not_end_it(rounds, task):
    """It leaks through a library, as the failure of a round."""
    for outcome in (asyncio.CancelledError(), None):
        rounds.put_nowait(outcome)

    await until(rounds.empty)

    assert not task.done()
